"""A sample that draws itself: a talking head animated from one public-domain portrait, and a forged twin of it.

    portrait + seeded motion ──warp──▶ frames ──(forge: another copy of the face blended in)──▶ H.264 in MP4

It lets everybody see a scan at work without a clip of their own. It is an illustration, not a benchmark.
"""

from scanner.sample.draw import draw_sample, encode

__all__ = ["draw_sample", "encode"]
