"""Server-sent events: what changed, at most ten times a second, as long as the reader may look."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from scanner.dashboard.feed import Feed, now_ms
from scanner.dashboard.site import user_of
from scanner.dashboard.tiles import tile_of

GAP_S = 0.1
BEAT_S = 5.0
READERS = 200


class Bell:
    """Wakes everybody who waits when the feed's thread rings."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()

    def listen(self) -> asyncio.Event:
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        self._waiting.add(event)
        return event

    def leave(self, event: asyncio.Event) -> None:
        self._waiting.discard(event)

    @property
    def readers(self) -> int:
        return len(self._waiting)

    def ring(self) -> None:
        """From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()


class Teller:
    """Changes as text; what one reader was told is kept for the next."""

    def __init__(self, feed: Feed, reviewers: int) -> None:
        self._feed = feed
        self._reviewers = reviewers
        self._told: dict[str, tuple[int, str]] = {}

    def changes(self, since: int, stream_id: str | None = None) -> tuple[int, str]:
        """The version it tells of, and one event's data."""
        with self._feed.looking() as view:
            changed = [stream for stream in view.changed_since(since) if stream_id in (None, stream.stream_id)]
            for stream in changed:
                if self._told.get(stream.stream_id, (0, ""))[0] != stream.version:
                    self._told[stream.stream_id] = stream.version, _dumped(tile_of(stream).told())
            tiles = [self._told[stream.stream_id][1] for stream in changed]
            gone = [name for version, name in view.gone if version > since and name not in view.streams]
            for name in gone:
                self._told.pop(name, None)
            waiting = view.cases.count(self._reviewers)
            version = view.version
        head = _dumped({"version": version, "now_ms": now_ms(), "gone": gone, "waiting": waiting})
        return version, f'{head[:-1]},"tiles":[{",".join(tiles)}]}}'


def _dumped(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


async def events(request: Request) -> Response:
    """An endless answer. `since` or Last-Event-ID: the version that the page knows; `stream`: only this one."""
    bell: Bell = request.app.state.bell
    if user_of(request) is None:
        return Response(status_code=401)
    if bell.readers >= READERS:
        return Response(status_code=503, headers={"Retry-After": "10"})
    known = request.headers.get("last-event-id") or request.query_params.get("since", "0")
    since = int(known) if known.isascii() and known.isdigit() else 0
    told = _told(request, bell, since, request.query_params.get("stream"))
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _told(request: Request, bell: Bell, since: int, stream_id: str | None) -> AsyncIterator[str]:
    teller: Teller = request.app.state.teller
    changed = bell.listen()
    try:
        yield "retry: 2000\n\n"
        while user_of(request) is not None:
            changed.clear()
            version, data = teller.changes(since, stream_id)
            yield f"id: {version}\ndata: {data}\n\n"
            since = version
            await asyncio.sleep(GAP_S)
            try:
                await asyncio.wait_for(changed.wait(), BEAT_S)
            except TimeoutError:
                continue
    finally:
        bell.leave(changed)
