"""A case's front page on paper: the same facts as index.html, and the scores over time."""

from __future__ import annotations

import textwrap
from io import BytesIO
from typing import TYPE_CHECKING

from scanner.core.text import visible
from scanner.plotting import pyplot
from scanner.report import words
from scanner.report.case import CasePage
from scanner.report.model import Thresholds

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_A4 = (8.27, 11.69)  # inches
_LETTERS = 104  # in a line


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
    figure.text(0.08, 0.6, "\n".join(lines[:58]), fontsize=8, va="top", family="monospace", linespacing=1.35)
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
    axes.axhline(thresholds.suspected_from, linestyle=":", color="darkorange", linewidth=1)
    axes.axhline(thresholds.manipulated_from, linestyle=":", color="crimson", linewidth=1)
    axes.set(ylim=(0, 1), xlabel="seconds", ylabel="score")
    axes.tick_params(labelsize=8)
    if faces:
        axes.legend(fontsize=7, loc="upper right")


def _facts(page: CasePage) -> list[str]:
    last = page.verdicts[-1]
    return [
        f"written        {page.written_at}, to be kept until {page.keep_until}",
        f"length         {words.duration(page.summary.duration_ms)}, {len(page.verdicts)} segments",
        f"model          {last.model.name}  {last.model.sha256}",
        f"policy         {last.policy_sha256}",
        f"code           {last.version or 'not told'}",
        f"declared       {words.TIERS[last.provenance.tier]}",
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
        "",
        "To check that nothing was changed, offline:  scanner audit verify CASE --key operator.pub",
    ]


def _plain(text: str) -> str:
    """What the built-in font has; other letters show as their codes."""
    return visible(text).encode("latin-1", "backslashreplace").decode("latin-1").replace("$", r"\$")
