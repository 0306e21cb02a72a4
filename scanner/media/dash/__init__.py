"""MPEG-DASH (ISO/IEC 23009-1): one rendition of a presentation, finished or live, as one run of bytes.

FFmpeg's own demuxer asks for what a live presentation has yet to publish without a pause, a thousand times a second,
and runs ahead of it; this one waits.
"""
