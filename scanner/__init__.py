"""Scanner: a calibrated, explainable verdict for every face in every stream.

from scanner import scan
for verdict in scan("clip.mp4"):
    print(verdict.start_ms, verdict.label, verdict.score)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scanner.assembly.scan import scan as scan

__all__ = ["scan"]


def __getattr__(name: str) -> Any:
    """Loads the front door when it is used: decoders and models are heavy, `import scanner` is not."""
    if name == "scan":
        from scanner.assembly.scan import scan  # noqa: PLC0415 - loaded when asked for: it brings everything

        return scan
    raise AttributeError(f"module 'scanner' has no attribute {name!r}")
