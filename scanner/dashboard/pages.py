"""The pages that show: wall, stream, verdict, clip, health."""

from __future__ import annotations

import json
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from scanner import wire
from scanner.core.errors import BrokerUnavailableError, ClaimUnavailableError, MediaError, ScannerError
from scanner.core.text import visible
from scanner.core.types import Label, Reason, Source, Verdict
from scanner.dashboard.accounts import Role
from scanner.dashboard.clips import part
from scanner.dashboard.feed import now_ms
from scanner.dashboard.site import Site, needs, page, site_of
from scanner.dashboard.streams import Point, Stream
from scanner.dashboard.tiles import BLANK, counted, tile_of
from scanner.wire import JPEG_TYPE

FIRST = 40  # tiles that come with the page, unless its window is known: the others follow with the first event
FEWEST, MOST = 12, 150


@needs(Role.VIEWER)
def wall(request: Request) -> Response:
    site, now = site_of(request), now_ms()
    with site.feed.looking() as view:
        everything = view.streams.values()
        groups = sorted({visible(stream.group) for stream in everything} - {""})
        chosen = request.query_params.get("group", "")
        wanted = [stream for stream in everything if chosen in ("", visible(stream.group))]
        ordered = sorted(wanted, key=lambda stream: stream.rank(now))
        first = ordered if "all" in request.query_params else ordered[: _in_sight(request)]
        tiles = [(tile_of(stream), stream.attention(now).name.lower()) for stream in first]
        counts = {attention.name.lower(): count for attention, count in counted(wanted, now).items()}
        waiting = view.cases.count(site.reviewers)
    return page(
        request, "wall.html", tiles=tiles, counts=counts, seen=0, waiting=waiting, blank=BLANK, total=len(ordered),
        groups=groups, group=chosen if chosen in groups else "",
    )  # fmt: skip


@needs(Role.VIEWER)
def stream(request: Request) -> Response:
    site, now = site_of(request), now_ms()
    with site.feed.looking() as view:
        known = _known(view.streams, request)
        tile, attention = tile_of(known), known.attention(now).name.lower()
        shown = _chosen(known, request.query_params.get("verdict"))
        facts: dict[str, Any] = {
            "tile": tile, "attention": attention, "alerts": list(known.alerts)[::-1][:20], "last": known.last,
            "lost": known.lost, "segments": known.segments, "seen": view.version, "points": _points(known),
            "waiting": view.cases.count(site.reviewers), "spans": _suspicious(known),
        }  # fmt: skip
    return page(request, "stream.html", **facts, **_detail(site, shown))


@needs(Role.VIEWER)
def points(request: Request) -> Response:
    """The scores of a stream, for the chart; those after a verdict that is known already."""
    with site_of(request).feed.looking() as view:
        told = _points(_known(view.streams, request))
    after = request.query_params.get("after")
    known = next((place for place, point in enumerate(told) if point["id"] == after), -1)
    return JSONResponse(told[known + 1 :])


@needs(Role.VIEWER)
def verdict(request: Request) -> Response:
    """One verdict, as a part of the stream's page."""
    site = site_of(request)
    with site.feed.looking() as view:
        known = _known(view.streams, request)
        shown = known.point(request.query_params.get("verdict", ""))
    if shown is None:
        raise HTTPException(404)
    return page(request, "verdict.html", **_detail(site, shown))


@needs(Role.VIEWER)
def clip(request: Request) -> Response:
    """The segment of a verdict, for a player. Only segments: no other record leaves by this door."""
    site = site_of(request)
    try:
        asked = request.query_params
        source = Source(asked.get("topic", site.topics.segments), int(asked["partition"]), int(asked["offset"]))
        there = source.topic in site.topics.asked and min(source.partition, source.offset) >= 0
        found = site.clips.get(source) if there else None
        if found is None:
            raise HTTPException(410)
        wanted = part(found, request.headers.get("range"))
    except MediaError as error:
        raise HTTPException(415, str(error)) from error
    except (BrokerUnavailableError, ClaimUnavailableError) as error:
        raise HTTPException(503, str(error)) from error
    except (KeyError, ValueError) as error:
        raise HTTPException(416 if "range" in request.headers else 400) from error
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, max-age=600"}
    if wanted is None:
        return Response(found.payload, media_type=found.content_type, headers=headers)
    first, last = wanted
    headers["Content-Range"] = f"bytes {first}-{last}/{len(found.payload)}"
    return Response(found.payload[first : last + 1], 206, headers, found.content_type)


@needs(Role.VIEWER)
def face(request: Request) -> Response:
    """The last small picture of a face, as long as it is kept."""
    with site_of(request).feed.looking() as view:
        found = _known(view.streams, request).picture(request.query_params.get("track", ""))
    if found is None:
        raise HTTPException(404)
    return Response(found.jpeg, media_type=JPEG_TYPE, headers={"Cache-Control": "private, max-age=60"})


@needs(Role.VIEWER)
def health(request: Request) -> Response:
    site, now = site_of(request), now_ms()
    lag, trouble = site.lag.now()
    with site.feed.looking() as view:
        tallies = view.tallies
        facts: dict[str, Any] = {
            "labels": [(label, tallies.labels[label]) for label in Label],
            "abstained": tallies.abstained.most_common(), "frames": dict(tallies.frames), "dead": tallies.dead,
            "letters": list(tallies.letters)[::-1][:50], "models": list(tallies.models.items())[::-1],
            "policies": list(tallies.policies.items())[::-1], "sandboxes": list(tallies.sandboxes)[::-1],
            "partitions": sorted(tallies.partitions.items()), "rate": tallies.rate(now), "delays": tallies.delays(),
            "verdicts": tallies.verdicts, "unreadable": tallies.unreadable, "streams": len(view.streams),
            "counts": {key.name.lower(): count for key, count in counted(view.streams.values(), now).items()},
            "workers": [(name, worker, tallies.seats(name)) for name, worker in sorted(tallies.workers.items())],
            "shed": tallies.abstained[Reason.SHED], "now": now,
            "waiting": view.cases.count(site.reviewers), "seen": view.version,
        }  # fmt: skip
    facts |= {"fates": site.redriver.fates(), "busy": site.redriver.busy, "stopped": site.redriver.trouble}
    template = "health_now.html" if "hx-request" in request.headers else "health.html"
    return page(request, template, lag=lag, trouble=site.feed.trouble or trouble, **facts)


def healthz(_: Request) -> Response:
    """Open to everybody: that the process answers, and nothing else."""
    return Response("ok", media_type="text/plain")


def _in_sight(request: Request) -> int:
    """Tiles that the browser's window showed last time, so that the first paint waits for no others."""
    told = request.cookies.get("tiles", "")
    return min(max(int(told), FEWEST), MOST) if told.isascii() and told.isdigit() and len(told) < 5 else FIRST


def _known(streams: dict[str, Stream], request: Request) -> Stream:
    found = streams.get(request.query_params.get("id", ""))
    if found is None:
        raise HTTPException(404)
    return found


def _chosen(known: Stream, verdict_id: str | None) -> Point:
    """What was asked for, else the most suspicious of what is kept."""
    asked = known.point(verdict_id) if verdict_id else None
    return asked or max(known.points, key=lambda point: (point.score or 0.0, point.sequence))


def _suspicious(known: Stream) -> list[Point]:
    return [point for point in reversed(known.points) if point.suspicious][:100]


def _points(known: Stream) -> list[dict[str, Any]]:
    return [told_point(point) for point in known.points]


def told_point(point: Point) -> dict[str, Any]:
    """For the chart: times in ms, a face's spans as [start, end, score]."""
    return {
        "id": point.verdict_id,
        "start": point.start_ms,
        "end": point.end_ms,
        "label": point.label.value,
        "score": point.score,
        "faces": {
            face.track_id: [[span.start_ms, span.end_ms, span.score] for span in face.spans] for face in point.faces
        },
    }


def _detail(site: Site, shown: Point) -> dict[str, Any]:
    """A verdict in full, off its topic; only what was kept when retention has taken it."""
    whole: Verdict | None = None
    text = ""
    try:
        delivery = site.bus.fetch(shown.place)
        if delivery is not None:
            whole = wire.verdict_of(delivery.record)
            lines = json.dumps(json.loads(delivery.record.value or b"{}"), indent=2, ensure_ascii=False).split("\n")
            text = "\n".join(visible(line) for line in lines)
    except ScannerError as error:
        text = str(error)
    return {"shown": shown, "whole": whole, "text": text}
