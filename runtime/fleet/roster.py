"""Who is on the broker and how each one is, made of the messages that come in; no I/O, time is an argument."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emomusic_edge.runtime.mqtt.line import Received
from emomusic_edge.runtime.mqtt.messages import OFFLINE, ONLINE

from .reading import ClaimSeen, HealthSeen, MusicSeen, StateSeen

MAX_NODES = 5000
# A device tells each topic every 10 s though nothing changed: two rounds were missed, and a half.
SILENT_AFTER_S = 25.0
# All that the broker keeps comes in one go after the subscription; a gap this long means that it was all.
SETTLED_AFTER_S = 1.0

Standing = Literal["online", "silent", "offline", "unknown"]

_TOPIC = re.compile(r"emomusic/([A-Za-z0-9_-]{1,64})/(availability|health|state|music|claim)")


@dataclass(frozen=True, slots=True)
class Node:
    """One device, as far as it told of itself. Times are seconds of the clock that Roster.hear is given.

    Attributes:
        name: the device in the topics; letters, digits, - and _ only.
        first_s: when anything of it came first.
        online: what its availability says; None before any came.
        online_since_s: when its run began, as it says itself; until it does, when it came online; None where that was
            before anybody looked.
        heard_s: when it last spoke itself; None while only what the broker keeps came.
        health, state, music: the newest of each that could be read; of a device that is offline, its version alone.
    """

    name: str
    first_s: float
    online: bool | None = None
    online_since_s: float | None = None
    heard_s: float | None = None
    health: HealthSeen | None = None
    state: StateSeen | None = None
    music: MusicSeen | None = None

    def standing(self, now_s: float) -> Standing:
        """`silent`: it says that it is online, and is not heard; `unknown`: it never said whether it is online."""
        if self.online is None:
            return "unknown"
        if not self.online:
            return "offline"
        newest_s = max(self.first_s, self.online_since_s or self.first_s, self.heard_s or self.first_s)
        return "silent" if now_s - newest_s > SILENT_AFTER_S else "online"

    @property
    def told_all(self) -> bool:
        """Whether nothing more of it is to be waited for."""
        return self.online is False or None not in (self.online, self.health, self.state, self.music)


class Roster:
    """The devices of a broker.

    Attributes:
        unreadable: how many messages could not be read.
        left_out: how many messages came of devices beyond MAX_NODES.
    """

    def __init__(self) -> None:
        self.unreadable = 0
        self.left_out = 0
        self._nodes: dict[str, Node] = {}
        self._newest_s: float | None = None

    def hear(self, received: Received, now_s: float) -> None:
        """Take in one message under `emomusic/`; what cannot be read is counted and changes nothing else."""
        match = _TOPIC.fullmatch(received.topic)
        if match is None:
            self.unreadable += 1
            return
        name, topic = match.groups()
        if topic == "availability" and not received.payload:
            # Retained and empty: the name is given up, as after a renaming.
            self._nodes.pop(name, None)
            return
        node = self._nodes.get(name)
        if node is None:
            if len(self._nodes) >= MAX_NODES:
                self.left_out += 1
                return
            node = Node(name, first_s=now_s)
        try:
            heard = _heard(node, topic, received, now_s, is_new=self.settled(now_s))
        except ValueError:  # pydantic's ValidationError among them
            self.unreadable += 1
            return
        if name not in self._nodes:
            self._newest_s = now_s
        self._nodes[name] = heard

    def nodes(self) -> Sequence[Node]:
        """All of them, by name: `room-2` before `room-10`."""
        return tuple(self._nodes[name] for name in sorted(self._nodes, key=_natural))

    def settled(self, now_s: float) -> bool:
        """Whether devices are known, and no further one turned up lately."""
        return self._newest_s is not None and now_s - self._newest_s >= SETTLED_AFTER_S

    def complete(self, now_s: float) -> bool:
        """Whether each device that is online has told everything, and no further one turns up."""
        return self.settled(now_s) and all(node.told_all for node in self._nodes.values())


def _natural(name: str) -> list[tuple[int, str]]:
    # A number sorts by its length and then by its digits; text stands at odd places, and has no length here.
    parts = re.split(r"([0-9]+)", name)
    return [(len(digits := part.lstrip("0")), digits) if place % 2 else (0, part) for place, part in enumerate(parts)]


def _heard(node: Node, topic: str, received: Received, now_s: float, *, is_new: bool) -> Node:
    """The device after one message of it.

    Args:
        node: as it was.
        topic: the message's, under `emomusic/<node>/`.
        received: the message.
        now_s: when.
        is_new: whether a device that was not known comes now; else it may have been there before anybody looked.

    Raises:
        ValueError: the message cannot be read.
    """
    if topic == "availability":
        return _available(node, received.payload, now_s, is_new=is_new)
    # None of the others may be retained: what the broker kept against the rule tells nothing about now.
    if received.retained:
        return node
    payload = received.payload
    if topic == "health":
        health = HealthSeen.model_validate_json(payload)
        since_s = node.online_since_s if health.uptime_s is None else now_s - health.uptime_s
        return replace(node, health=health, online_since_s=since_s, heard_s=now_s)
    if topic == "state":
        return replace(node, state=StateSeen.model_validate_json(payload), heard_s=now_s)
    if topic == "music":
        return replace(node, music=MusicSeen.model_validate_json(payload), heard_s=now_s)
    return replace(node, online_since_s=now_s - ClaimSeen.model_validate_json(payload).uptime_s, heard_s=now_s)


def _available(node: Node, payload: bytes, now_s: float, *, is_new: bool) -> Node:
    word = payload.decode("utf-8", "replace")
    if word == ONLINE:
        came = node.online is False or (node.online is None and is_new)
        return replace(node, online=True, online_since_s=now_s if came else node.online_since_s)
    if word == OFFLINE:
        # Nothing else that it said holds any more.
        version = None if node.health is None else HealthSeen(version=node.health.version)
        return replace(node, online=False, online_since_s=None, health=version, state=None, music=None)
    raise ValueError(f"availability is neither {ONLINE} nor {OFFLINE}")
