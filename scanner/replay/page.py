"""The difference of two results as one HTML page with its plot, asking nothing of any network."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from scanner.replay.diff import Change, Difference

_DOTS = 5000  # more are not told apart
_SIDE, _MARGIN = 360, 36
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Scanner: two results</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td, th { padding: .2rem 1rem .2rem 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } svg { max-width: 100% }
</style>
<h1>Two results compared</h1>
<p>Before: {{ before }}<br>After: {{ after }}</p>
<p>{{ d.pairs | length }} in both, {{ d.changed | length }} with another label;
{{ d.segments_changed }} of {{ d.segments_compared }} segments with another label;
Cohen’s kappa {{ "–" if d.kappa is none else "%.3f" | format(d.kappa) }}.
{% if d.shift %}Score moved by {{ "%+.3f" | format(d.shift.mean) }} on average, median
{{ "%+.3f" | format(d.shift.median) }}, at most {{ "%.3f" | format(d.shift.largest_absolute) }}.{% endif %}</p>
{{ plot }}
<h2>Labels</h2>
<table><tr><th>before<th>after<th>count</tr>
{% for old, new, count in d.labels %}<tr><td>{{ old }}<td>{{ new }}<td class="n">{{ count }}</tr>{% endfor %}</table>
{% if d.changed %}<h2>Changed</h2>
<table><tr><th>stream<th>before<th>after<th>score<th></tr>
{% for c in d.changed %}<tr><td>{{ c.stream_id }}<td>{{ c.before }}<td>{{ c.after }}
<td class="n">{{ "–" if c.score_before is none else "%.2f" | format(c.score_before) }}
<td class="n">{{ "–" if c.score_after is none else "%.2f" | format(c.score_after) }}</tr>{% endfor %}</table>{% endif %}
{% if d.only_before or d.only_after %}<p>Only before: {{ d.only_before | length }}; only after:
{{ d.only_after | length }}.</p>{% endif %}
</html>
"""


def write_page(path: Path, found: Difference, before: str, after: str) -> None:
    """Raises OSError."""
    template = Environment(autoescape=True).from_string(_PAGE)
    path.write_text(template.render(d=found, before=before, after=after, plot=plot(found)), encoding="utf-8")


def plot(found: Difference, before: str = "score before", after: str = "score after") -> Markup:
    """Score before against score after, a dot a stream, at most 5,000 of them; on the diagonal nothing moved."""
    scored = [pair for pair in found.pairs if pair.shift is not None]
    dots = Markup("").join(_dot(pair) for pair in scored[:: len(scored) // _DOTS + 1])
    far, near = _SIDE - _MARGIN, _MARGIN
    frame = Markup(
        '<svg viewBox="0 0 {side} {side}" width="{side}" role="img" aria-label="{before}, {after}">'
        '<path d="M{near} {near}V{far}H{far}" fill="none" stroke="currentColor"/>'
        '<path d="M{near} {far}L{far} {near}" stroke="currentColor" stroke-dasharray="3 4" opacity=".5"/>'
        '<text x="{middle}" y="{low}" text-anchor="middle" font-size="12" fill="currentColor">{before}</text>'
        '<text x="14" y="{middle}" text-anchor="middle" font-size="12" fill="currentColor"'
        ' transform="rotate(-90 14 {middle})">{after}</text>'
    )
    return (
        frame.format(before=before, after=after, side=_SIDE, near=near, far=far, middle=_SIDE // 2, low=_SIDE - 10)
        + dots
        + Markup("</svg>")
    )


def _dot(pair: Change) -> Markup:
    span = _SIDE - 2 * _MARGIN
    x = _MARGIN + span * (pair.score_before or 0.0)
    y = _SIDE - _MARGIN - span * (pair.score_after or 0.0)
    colour = "#c0392b" if pair.before != pair.after else "#2e86c1"
    dot = Markup('<circle cx="{:.1f}" cy="{:.1f}" r="3" fill="{}" opacity=".7"><title>{}</title></circle>')
    return dot.format(x, y, colour, pair.stream_id)
