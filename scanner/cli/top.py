"""`scanner top`: the wall for those who live in a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from scanner.cli.common import Bootstrap, SettingsFile, settings_from, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

    from scanner.dashboard.feed import Feed
    from scanner.dashboard.streams import Point, Stream

_REFRESH_S = 0.5
_SPARK = 30  # segments
_BLOCKS = "▁▂▃▄▅▆▇█"
_ROOM = 6  # lines that are not streams
_LOOKS = {
    "ALERT": ("bold white on red", "▲ alert"),
    "MANIPULATED": ("bold red", "● manipulated"),
    "SUSPECTED": ("yellow", "◐ suspected"),
    "SILENT": ("magenta", "∅ silent"),
    "INSUFFICIENT": ("dim", "? not judged"),
    "CLEAR": ("blue", "○ nothing found"),
    "ENDED": ("dim", "■ ended"),
}


def top(
    seconds: Annotated[float | None, typer.Option(min=0, help="End after so long.", show_default=False)] = None,
    bootstrap: Bootstrap = None,
    settings: SettingsFile = None,
) -> None:
    """Streams in a live table, those that need attention first; Ctrl-C ends it. It joins no group."""
    from rich.live import Live

    from scanner.assembly.bus import kafka_bus, topics_of
    from scanner.dashboard.feed import Feed
    from scanner.dashboard.view import Limits, View

    chosen = settings_from(settings, kafka_bootstrap_servers=bootstrap)
    ours = chosen.dashboard
    view = View(topics_of(chosen), Limits(ours.streams, ours.points))
    feed = Feed(kafka_bus(chosen), view, ours.lookback_min * 60)
    feed.start()
    until_s = None if seconds is None else time.monotonic() + seconds
    try:
        with Live(Top(feed, ours.reviewers), auto_refresh=False, screen=True) as live:
            while until_s is None or time.monotonic() < until_s:
                live.refresh()
                time.sleep(_REFRESH_S)
    except KeyboardInterrupt:
        pass
    finally:
        feed.stop()


class Top:
    """The view as a table that fits the terminal."""

    def __init__(self, feed: Feed, reviewers: int) -> None:
        self._feed = feed
        self._reviewers = reviewers

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now_ms = time.time_ns() // 1_000_000
        room = max(3, (options.max_height or console.height) - _ROOM)
        with self._feed.looking() as view:
            ordered = sorted(view.streams.values(), key=lambda stream: stream.rank(now_ms))
            table = _table(ordered[:room], now_ms)
            tallies = view.tallies
            counts = f"{len(ordered)} streams, {tallies.rate(now_ms):.1f} verdicts/s, {tallies.dead} dead letters"
            waiting = view.cases.count(self._reviewers)
        hidden = f", {len(ordered) - room} not shown" if len(ordered) > room else ""
        yield f"[bold]scanner[/]  {counts}, {waiting} to review{hidden}"
        if self._feed.trouble:
            yield f"[red]{shown(self._feed.trouble)}[/]"
        yield table


def _table(streams: Sequence[Stream], now_ms: int) -> Table:
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "score", "", "behind", "coverage", "faces", "stream", box=None, pad_edge=False)
    for stream in streams:
        style, word = _LOOKS[stream.attention(now_ms).name]
        behind = "–" if stream.behind_s is None else f"{stream.behind_s:.1f} s"
        table.add_row(
            f"[{style}]{word}[/]",
            "–" if stream.last.score is None else f"{stream.last.score:.2f}",
            f"[{style.removesuffix(' on red')}]{spark(list(stream.points)[-_SPARK:])}[/]",
            behind,
            stream.mode.value,
            str(len(stream.last.tracks)),
            escape(shown(stream.stream_id)),
        )
    return table


def spark(points: Sequence[Point]) -> str:
    """Scores as blocks; a dot where nothing was judged."""
    return "".join("·" if point.score is None else _BLOCKS[min(7, int(point.score * 8))] for point in points)
