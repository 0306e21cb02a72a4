"""Faces of one segment that are those of the one before, and faces that are gone. Pure."""

from __future__ import annotations

import numpy as np

from scanner.core.clips import CUT_LUMA
from scanner.core.tracking import match
from scanner.core.types import Observation, Segment, StreamState, TrackState

FORGET_MS = 2_000  # a face away for longer is a new track: nobody can say that it is the same one


def joined(state: StreamState, segment: Segment, seen: Observation) -> tuple[dict[int, TrackState], int]:
    """Tracklet index to the track it goes on with, or to a new one; and the next track's number."""
    candidates = [] if _cut_before(state, seen) else list(state.tracks)
    arrivals = [tracklet for tracklet in seen.tracklets if not tracklet.after_cut]
    candidates = [
        track
        for track in candidates
        if arrivals and segment.start_ms + arrivals[0].start_ms - track.seen_ms <= FORGET_MS
    ]
    pairs = match(
        np.array([track.box for track in candidates], np.float32).reshape(-1, 4),
        np.array([tracklet.first_box for tracklet in arrivals], np.float32).reshape(-1, 4),
    )
    known = {arrivals[found].index: candidates[place] for place, found in pairs}
    number = state.next_track
    for tracklet in seen.tracklets:
        if tracklet.index not in known:
            known[tracklet.index] = TrackState(f"face-{number}", tracklet.first_box, segment.start_ms)
            number += 1
    return known, number


def _cut_before(state: StreamState, seen: Observation) -> bool:
    if not state.closing or not seen.opening:
        return False
    before, now = (
        np.frombuffer(bytes.fromhex(luma), np.uint8).astype(np.float32) for luma in (state.closing, seen.opening)
    )
    return len(before) != len(now) or float(np.abs(now - before).mean()) > CUT_LUMA


def apart(state: StreamState, here: list[TrackState], now_ms: int) -> tuple[list[TrackState], list[TrackState]]:
    """Faces that are not in this segment: those that are still remembered, and those that are forgotten now."""
    seen = {track.track_id for track in here}
    others = [track for track in state.tracks if track.track_id not in seen]
    away = [track for track in others if now_ms - track.seen_ms <= FORGET_MS]
    return away, [track for track in others if now_ms - track.seen_ms > FORGET_MS]
