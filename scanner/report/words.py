"""The page's words: every label, reason, mode, tier and sandbox layer in a sentence that needs no manual."""

from __future__ import annotations

from datetime import UTC, datetime

from scanner.core.types import Label, Mode, Reason, Tier

LABELS: dict[Label, str] = {
    Label.MANIPULATED: "manipulated",
    Label.SUSPECTED: "suspected",
    Label.NO_MANIPULATION_FOUND: "no manipulation found",
    Label.INSUFFICIENT_EVIDENCE: "insufficient evidence",
}
MEANINGS: dict[Label, str] = {
    Label.MANIPULATED: "At least one face carries strong traces of manipulation. Look at the marked moments first.",
    Label.SUSPECTED: "At least one face carries traces that real faces rarely show. A person should look.",
    Label.NO_MANIPULATION_FOUND: "No face stood out. That is not proof that the video is genuine.",
    Label.INSUFFICIENT_EVIDENCE: "Nothing here could be judged. This speaks about the material, not about the people.",
}
RANK: dict[Label, int] = {label: place for place, label in enumerate(LABELS)}
"""most suspicious first"""

REASONS: dict[Reason, str] = {
    Reason.NO_VIDEO: "There is no video in it.",
    Reason.NO_FACE: "No face was found.",
    Reason.FACE_TOO_SMALL: "The face covers too few pixels to be judged.",
    Reason.TOO_BLURRY: "The face is too blurry to be judged.",
    Reason.TOO_DARK: "The face is too dark to be judged.",
    Reason.PROFILE: "The face is turned too far away from the camera.",
    Reason.TOO_FEW_FRAMES: "The face is followed for too short a time to make one clip.",
    Reason.TOO_MANY_FACES: "There are more faces than the limit; only the clearest were followed.",
    Reason.DECODE_PARTIAL: "Some frames are damaged; the rest was looked at.",
    Reason.OUT_OF_DOMAIN: "The picture is unlike what the model was measured on; its score means less here.",
    Reason.SEQUENCE_GAP: "Segments are missing before this one.",
    Reason.REPEATED_SEQUENCE: "A segment arrived again; it was judged by itself.",
    Reason.END_OF_STREAM: "The stream ends here.",
    Reason.SHED: "The machines were overloaded and this live segment was left out.",
    Reason.INSPECTION_WITHHELD: "The evidence asked for a closer look than the short one that was made.",
}
MODES: dict[Mode, str] = {
    Mode.PATROL: "patrol: a short burst at the head of each segment",
    Mode.INSPECT: "inspect: bursts back to back",
    Mode.FULL: "full: every frame",
}
TIERS: dict[Tier, str] = {
    Tier.NONE: "Declares nothing about its origin.",
    Tier.IS: "Declares itself as generated content.",
    Tier.MAY_BE: "May be generated content, by its declaration.",
    Tier.SUSPECTED: "Declares nothing; suspected by what was found.",
}
SANDBOX: dict[str, str] = {
    "rlimit": "limits on memory, time and files",
    "no_new_privs": "no new privileges",
    "no_network": "no network",
    "no_capabilities": "no rights of root",
    "seccomp": "system calls filtered",
    "landlock": "no files",
}


def clock(ms: int, *, tenths: bool = True) -> str:
    """0:02.0, 12:34, 1:02:03 – media time as players show it."""
    seconds, rest = divmod(max(0, ms), 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f".{rest // 100}" if tenths else ""
    return f"{hours}:{minutes:02}:{seconds:02}{tail}" if hours else f"{minutes}:{seconds:02}{tail}"


def moment(at_ms: int) -> str:
    """2026-03-01 14:05:09, UTC, of ms since the epoch."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(ms: int) -> str:
    """4.0 s, 2 min 5 s, 1 h 3 min."""
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def percent(share: float) -> str:
    """Two significant digits where they matter: 0.1 %, 9 %, 87 %."""
    value = share * 100
    return f"{value:.2g} %" if value < 10 else f"{value:.0f} %"


def count(number: int, one: str, many: str | None = None) -> str:
    """1 face, 2 faces, 5 400 frames."""
    return f"{thousands(number)} {one if number == 1 else many or one + 's'}"


def thousands(number: int) -> str:
    """5 400, with a narrow space that does not break."""
    return f"{number:,}".replace(",", "\u202f")
