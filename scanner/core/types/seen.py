"""What is seen: from a segment's bytes to clips of faces, and what was measured of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]
"""x0 y0 x1 y1, half-open, as fractions of the displayed picture's width and height."""


class Mode(StrEnum):
    """How much of a segment is decoded and scored."""

    PATROL = "patrol"  # one burst at the head of the segment; the rest is never sent to the decoder
    INSPECT = "inspect"  # bursts back to back
    FULL = "full"  # bursts back to back, and one more that ends at the last frame


class Reason(StrEnum):
    """Why a segment or a face was not judged, or was judged with reservations."""

    NO_VIDEO = "no_video"
    NO_FACE = "no_face"
    FACE_TOO_SMALL = "face_too_small"
    TOO_BLURRY = "too_blurry"
    TOO_DARK = "too_dark"
    PROFILE = "profile"
    TOO_FEW_FRAMES = "too_few_frames"
    TOO_MANY_FACES = "too_many_faces"
    DECODE_PARTIAL = "decode_partial"
    OUT_OF_DOMAIN = "out_of_domain"
    SEQUENCE_GAP = "sequence_gap"
    REPEATED_SEQUENCE = "repeated_sequence"
    END_OF_STREAM = "end_of_stream"
    SHED = "shed"
    INSPECTION_WITHHELD = "inspection_withheld"  # the evidence asked for it, and only a patrol was made


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim check: where the bytes of a segment lie when they are not in the record."""

    uri: str
    size: int
    """bytes"""
    sha256: str
    """hex digest of the bytes"""


@dataclass(frozen=True, slots=True)
class Declared:
    """What the source said about its own origin, lifted into headers when the segment was cut."""

    aigc: str | None = None
    """the GB 45438 label, JSON text as found"""
    c2pa: str | None = None
    """what the active C2PA manifest says, JSON text (see provenance.manifest)"""


@dataclass(frozen=True, slots=True)
class Segment:
    """A self-contained piece of one stream: starts with a keyframe, at most a few seconds long."""

    stream_id: str
    sequence: int
    """0-based place in the stream; a jump means that segments were lost upstream"""
    start_ms: int
    """media time of the first frame in the stream"""
    payload: bytes = field(repr=False)
    """the container's bytes; empty while only a claim is known, or at a bare end of stream"""
    sha256: str
    """hex digest of the payload"""
    content_type: str = "video/mp4"
    captured_at_ms: int | None = None
    """wall clock of the first frame, ms since the epoch, UTC"""
    end_of_stream: bool = False
    claim: Claim | None = None
    declared: Declared = Declared()
    traceparent: str | None = None

    def __post_init__(self) -> None:
        if not self.stream_id:
            raise ValueError("stream_id must not be empty")
        if self.sequence < 0 or self.start_ms < 0:
            raise ValueError(f"sequence and start_ms must be ≥ 0, got {self.sequence} and {self.start_ms}")


@dataclass(frozen=True, slots=True)
class ClipSpec:
    """A model's geometry, from its card: what one clip is."""

    length: int = 16
    """T, frames in a clip"""
    size: int = 160
    """S, side of the square crop in pixels"""
    box_scale: float = 1.5
    """side of the crop as a multiple of the face box's longer side"""
    max_fps: float = 45.0
    """above this rate every k-th frame is taken so that the rate falls below it"""

    def __post_init__(self) -> None:
        if self.length < 1 or self.size < 16 or self.box_scale < 1 or self.max_fps <= 0:
            raise ValueError(f"not a clip geometry: {self}")

    @property
    def clip_bytes(self) -> int:
        return self.length * self.size * self.size * 3


@dataclass(frozen=True, slots=True)
class Detections:
    """Faces found in one picture, as columns."""

    boxes: Floats
    """(n, 4) x0 y0 x1 y1, fractions of the picture"""
    scores: Floats
    """(n,) the detector's confidence in [0, 1]"""
    keypoints: Floats
    """(n, 6, 2) right eye, left eye, nose tip, mouth, right ear, left ear; fractions of the picture"""

    def __post_init__(self) -> None:
        n = len(self.scores)
        if self.boxes.shape != (n, 4) or self.keypoints.shape != (n, 6, 2):
            raise ValueError(f"boxes {self.boxes.shape} and keypoints {self.keypoints.shape} must match {n} scores")

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def empty(cls) -> Detections:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 6, 2), np.float32))


@dataclass(frozen=True, slots=True)
class Quality:
    """What was measured of a face before anybody judged it."""

    face_px: int
    """median side of the face box in pixels of the picture"""
    sharpness: float
    """[0, 1]; 0 is a uniform blur (see vision.sharpness)"""
    brightness: float
    """[0, 1]; mean luma of the face"""
    frontality: float
    """[0, 1]; 1 looks into the camera, 0 is a full profile"""
    bitrate_kbps: int
    """of the segment's video"""


@dataclass(frozen=True, slots=True)
class Tracklet:
    """One face followed inside one segment, before it is joined to the stream's tracks."""

    index: int
    """place among the tracklets of its segment"""
    start_ms: int
    """in the segment, of the first frame with this face"""
    end_ms: int
    """in the segment, half-open"""
    first_box: Box
    last_box: Box
    box: Box
    """median over the frames"""
    frames: int
    """frames in which the face was followed"""
    after_cut: bool
    """the picture changed at once just before this face appeared: not the one that stood there before"""
    quality: Quality


@dataclass(frozen=True, slots=True)
class Clip:
    """A burst of T consecutive frames of one face, cut by one transform. Never crosses a segment."""

    tracklet: int
    start_ms: int
    """in the segment"""
    end_ms: int
    """in the segment, half-open"""
    repeats: int
    """leading frames that an earlier clip of this tracklet already showed"""
    pixels: Pixels = field(repr=False)
    """(T, S, S, 3) RGB"""


@dataclass(frozen=True, slots=True)
class ClipScore:
    """What the model said about one clip."""

    tracklet: int
    start_ms: int
    end_ms: int
    repeats: int
    logit: float
    """uncalibrated; grows with suspicion"""
    frame_logits: tuple[float, ...]
    """(T,)"""


@dataclass(frozen=True, slots=True)
class Tally:
    """A verdict says what it stood on."""

    frames_total: int
    frames_decoded: int
    frames_scored: int
    frames_damaged: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class Observation:
    """Everything seen in a segment except the clips' pixels, which travel beside it."""

    duration_ms: int
    width: int
    """of the displayed picture, px"""
    height: int
    codec: str
    tally: Tally
    tracklets: tuple[Tracklet, ...] = ()
    reasons: tuple[Reason, ...] = ()
    """about the whole segment"""
    opening: str = ""
    """luma of the first picture, sparsely sampled, hex; tells a scene cut between two segments"""
    closing: str = ""
    """luma of the last picture that was looked at"""
    sandbox: tuple[str, ...] = ()
    """the layers that confined the decoder"""
