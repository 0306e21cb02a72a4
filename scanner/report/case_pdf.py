"""A case's front page on paper: the same facts as index.html, and the scores over time."""

from __future__ import annotations

import textwrap
from io import BytesIO
from typing import TYPE_CHECKING, Any

from scanner.core.text import visible
from scanner.plotting import pyplot
from scanner.report import words
from scanner.report.case import CasePage, most_suspicious, overruled
from scanner.report.ground import strongest
from scanner.report.model import Thresholds
from scanner.report.pictures import pixels_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_A4 = (8.27, 11.69)  # inches
_LETTERS = 104  # in a line
_LINES, _PICTURED = 58, 21  # on the page; in the room of the pictures


def case_pdf(page: CasePage, thresholds: Thresholds) -> bytes:
    """One page, A4."""
    plt = pyplot()
    figure = plt.figure(figsize=_A4)
    score = "" if page.summary.score is None else f", score {page.summary.score:.2f}"
    figure.text(0.08, 0.95, _plain(page.summary.uri), fontsize=15, weight="bold", va="top")
    figure.text(0.08, 0.925, f"{words.LABELS[page.summary.label]}{score}", fontsize=12, va="top")
    figure.text(0.08, 0.905, textwrap.fill(words.MEANINGS[page.summary.label], _LETTERS), fontsize=9, va="top")
    _scores(figure.add_axes((0.1, 0.66, 0.84, 0.19)), page, thresholds)
    wrapped = [textwrap.wrap(_plain(fact), _LETTERS, subsequent_indent=" " * 15) or [""] for fact in _facts(page)]
    lines = [line for fact in wrapped for line in fact]
    room = lines[: _LINES - _PICTURED * bool(page.looks)]
    figure.text(0.08, 0.6, "\n".join(room), fontsize=8, va="top", family="monospace", linespacing=1.35)
    _pictures(figure, page)
    foot = "Scanner finds traces that forgeries leave behind. It never says that a video is real."
    figure.text(0.08, 0.03, foot, fontsize=8, color="dimgrey")
    sink = BytesIO()
    figure.savefig(sink, format="pdf", metadata={"Creator": "Scanner", "Producer": None, "CreationDate": None})
    plt.close(figure)
    return sink.getvalue()


def _scores(axes: Axes, page: CasePage, thresholds: Thresholds) -> None:
    faces = dict.fromkeys(face.track_id for verdict in page.verdicts for face in verdict.tracks)
    for place, name in enumerate(faces):
        spans = [s for v in page.verdicts for face in v.tracks if face.track_id == name for s in face.spans]
        middles = [(span.start_ms + span.end_ms) / 2000 for span in spans]
        axes.plot(middles, [span.score for span in spans], ".-", linewidth=1, markersize=3, label=_plain(name))
        if place == 5:
            break
    lines = (thresholds.suspected_from, "suspected from", "darkorange", "top"), (
        thresholds.manipulated_from, "manipulated from", "crimson", "bottom",
    )  # fmt: skip
    for line, name, colour, side in lines:
        axes.axhline(line, linestyle=":", color=colour, linewidth=1)
        at: Any = {"xycoords": ("axes fraction", "data"), "va": side, "ha": "right"}
        axes.annotate(f"{name} {line:.2f}", (0.995, line), color=colour, fontsize=6.5, **at)
    axes.set(ylim=(0, 1), xlabel="seconds", ylabel="score")
    axes.tick_params(labelsize=8)
    if faces:
        axes.legend(fontsize=7, loc="lower right")


def _pictures(figure: Figure, page: CasePage) -> None:
    """The clips to look at first, two beside each other: a face, and frames with the model's map over them."""
    for place, look in enumerate(most_suspicious(page)):
        left, bottom = 0.08 + 0.44 * (place % 2), 0.19 - 0.105 * (place // 2)
        shown = [(look.jpeg, (left, bottom, 0.09, 0.075))]
        shown += [(look.heat, (left + 0.095, bottom, 0.31, 0.075))] if look.heat else []
        for jpeg, box in shown:
            axes = figure.add_axes(box, anchor="W")
            axes.imshow(pixels_of(jpeg))
            axes.axis("off")
        told = f"{look.score:.2f} at {words.clock(look.start_ms)}, {_plain(look.track_id)}"
        figure.text(left, bottom + 0.078, told, fontsize=7)


def _facts(page: CasePage) -> list[str]:
    last = page.verdicts[-1]
    origin = strongest(verdict.provenance for verdict in page.verdicts)
    return [
        f"written        {page.written_at}, to be kept until {page.keep_until}",
        f"length         {words.duration(page.summary.duration_ms)}, {len(page.verdicts)} segments",
        f"model          {last.model.name}  {last.model.sha256}",
        f"policy         {last.policy_sha256}",
        f"code           {last.version or 'not told'}",
        f"declared       {words.TIERS[origin.tier]}{' It contradicts what was found.' * origin.conflict}",
        f"key            {page.key_id}",
        f"chain          {len(page.links)} links",
        *(f"seal           links {seal.first}-{seal.last}, root {seal.root}" for seal in page.seals[:6]),
        "",
        *(f"clip           {clip.name}  {clip.verdict.payload_sha256}" for clip in page.clips),
        "",
        *(
            f"review         segment {review.sequence}, {words.moment(review.reviewed_at_ms)} UTC, {review.reviewer}: "
            f"{review.decision} {review.note}"
            for standing in page.standings
            for review in standing.reviews
        ),
        *(
            f"last word      segment {one.verdict.sequence}: {', '.join(one.by)} rejected "
            f"{words.LABELS[one.verdict.label]}; their word is {words.LABELS[one.word]}"
            for one in overruled(page)
        ),
        "",
        "To check that nothing was changed, offline:  scanner audit verify CASE --key operator.pub",
    ]


def _plain(text: str) -> str:
    """What the built-in font has; other letters show as their codes."""
    return visible(text).encode("latin-1", "backslashreplace").decode("latin-1").replace("$", r"\$")
