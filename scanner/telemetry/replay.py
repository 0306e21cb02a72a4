"""What a replay of archives counts."""

from __future__ import annotations

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge


class ReplayMetrics:
    """One verb each."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._files = Counter(
            "scanner_replay_files",
            "Files done, by label; no_verdict where there is none.",
            ["label"],
            registry=registry,
        )
        self._failed = Counter("scanner_replay_files_failed", "Files with something unreadable.", registry=registry)
        self._cached = Counter("scanner_replay_files_cached", "Files known from before.", registry=registry)
        self._video = Counter("scanner_replay_video_seconds", "Video scanned, of its own time.", registry=registry)
        self._read = Counter("scanner_replay_read_bytes", "Bytes of the files done.", registry=registry)
        self._left = Gauge("scanner_replay_files_left", "Files still to be done.", registry=registry)

    def planned(self, files: int) -> None:
        self._left.set(files)

    def done(self, label: str | None, *, video_s: float, size: int, failed: bool, cached: bool) -> None:
        """One file.

        Args:
            video_s: its length.
            size: bytes.
        """
        self._files.labels(label or "no_verdict").inc()
        self._failed.inc(failed)
        self._cached.inc(cached)
        self._video.inc(0.0 if cached else video_s)
        self._read.inc(size)
        self._left.dec()
