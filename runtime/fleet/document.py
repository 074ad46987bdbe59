"""The devices of a broker and the outcome of a command as JSON, for programs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from .errand import Outcome
from .roster import Node, Roster


def fleet_document(
    roster: Roster, now_s: float, wall_time: datetime, *, where: str, moods: bool = False
) -> dict[str, Any]:
    """Everything that is known of the devices.

    Args:
        roster: what was heard.
        now_s: on the clock that the roster was fed with.
        wall_time: the time of day with its zone.
        where: the broker.
        moods: whether to tell what tells of feelings too: the word for the mood of each room, and its song.
    """
    nodes = [_node(node, now_s, moods) for node in roster.nodes()]
    return {
        "at": wall_time.isoformat(timespec="seconds"),
        "broker": where,
        "complete": roster.complete(now_s),
        "unreadable": roster.unreadable,
        "left_out": roster.left_out,
        "nodes": nodes,
    }


def _node(node: Node, now_s: float, moods: bool) -> dict[str, Any]:
    health, state, music = node.health, node.state, node.music
    told: dict[str, Any] = {
        "node": node.name,
        "standing": node.standing(now_s),
        "online_s": _ago(node.online_since_s, now_s),
        "heard_s_ago": _ago(node.heard_s, now_s),
        "version": None if health is None else health.version,
        "reasons": {} if health is None else dict(health.reasons),
        "mode": "" if state is None else state.mode,
        "camera_on": None if state is None else state.camera_on,
        "paused": None if music is None else music.paused,
        "frames_per_second": rate_of(node),
        "limited_by": "" if health is None or health.pace is None else health.pace.limited_by,
        "temperature_c": None if health is None or health.thermal is None else health.thermal.temperature_c,
        "models": {} if health is None else {part: model.model_dump() for part, model in health.models.items()},
    }
    if moods:
        told["mood"] = None if state is None or state.stale else state.mood
        told["song"] = None if music is None or music.song is None else music.song.title
    return told


def rate_of(node: Node) -> float | None:
    """Frames a second, as the state tells it, else as health does."""
    if node.state is not None and node.state.frames_per_second is not None:
        return node.state.frames_per_second
    pace = None if node.health is None else node.health.pace
    return None if pace is None else pace.frames_per_second


def _ago(then_s: float | None, now_s: float) -> float | None:
    return None if then_s is None else round(now_s - then_s, 1)


def errand_document(command: str, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What came of a command, device by device."""
    return {
        "command": command,
        "nodes": [
            {
                "node": outcome.node,
                "answer": outcome.answer,
                "reason": outcome.reason,
                "took_ms": None if outcome.took_ms is None else round(outcome.took_ms, 1),
            }
            for outcome in outcomes
        ],
    }
