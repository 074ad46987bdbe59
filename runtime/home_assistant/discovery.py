"""Announces the device to Home Assistant over its own line, answers a start there, takes back what is gone."""

from __future__ import annotations

import json
import logging
import random
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from emomusic_edge.contracts import StateSnapshot
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.line import Line, Outgoing, Received, Subscription
from emomusic_edge.runtime.mqtt.messages import ONLINE

from .components import device_key
from .document import (
    availability_topic,
    brought_back,
    discovery_topic,
    document,
    serial_in,
    speaks_for,
    status_topic,
    with_removals,
)
from .given_up import GivenUp
from .remembered import Place, RememberedFile

_log = logging.getLogger(__name__)

# When Home Assistant starts, all devices hear of it at once: a thousand of them answer with 9 MB. It has the retained
# documents meanwhile, and a state comes within repeat_s anyway.
MAX_JITTER_S = 5.0
# What the broker has kept of a former name comes right after the subscription; by then it has been heard.
_KEPT_COMES_S = 2.0
# Home Assistant makes entities of a document one by one, and passes over what is told meanwhile.
_BROUGHT_BACK_S = 5.0
# A device that is there answers what we tell within this (MAX_JITTER_S, and what the broker takes).
_CONTEST_S = 15.0


class HomeAssistantDiscovery:
    """An Extension: the device in Home Assistant, without anything to set up there.

    Switched off, it only takes back what a former run announced. Home Assistant removes what it is told to be gone;
    what it was not there to hear of is brought back for a moment at its next start, and removed then.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        *,
        version: str,
        file: RememberedFile,
        prefix: str = "homeassistant",
        announces: bool = True,
        jitter: random.Random | None = None,
    ) -> None:
        """Remember what will be announced; nothing is sent before the line stands.

        Args:
            settings: the node and its topics.
            version: of this program.
            file: where to remember what was announced.
            prefix: the discovery prefix, as set in Home Assistant's MQTT integration.
            announces: whether the device is to appear in Home Assistant.
            jitter: for the wait before Home Assistant's start is answered; seeded in tests.
        """
        self._jitter = jitter or random.Random()
        self._file = file
        self._place = Place(prefix=prefix, device=device_key(settings), node=settings.node)
        self._topic = discovery_topic(prefix, self._place.device)
        before = file.load()
        self._serial = before.serial
        self._described: Mapping[str, Any] | None = None
        self._unknown_there = False
        if announces:
            self._described = document(settings, version=version, serial=self._serial)
            platforms = {name: entity["platform"] for name, entity in self._described["components"].items()}
            self._remembered = before.announcing(self._place, platforms)
            # Home Assistant listens to topics of ours only once it has read of them: what came before is missed.
            self._unknown_there = before.current != self._place or before.components != platforms
        else:
            self._remembered = before.withdrawing()
        # Before the broker knows of it: whatever happens then, a later run can take it back.
        file.save(self._remembered)
        ours = frozenset({availability_topic(settings.node), *([self._topic] if announces else [])})
        names = frozenset({settings.node, *(former.place.node for former in self._remembered.former)})
        self._given_up = [GivenUp(former, self._serial, names, ours) for former in self._remembered.former]
        # The network thread hears, the loop's thread acts.
        self._lock = threading.Lock()
        self._connected_at_s: float | None = None
        self._tell_anew = False
        self._tell_anew_at_s: float | None = None
        self._born = False
        self._looked = False
        # How often another device has described itself in our place, and until when once more means that it is there.
        self._contests = 0
        self._contest_ends_s: float | None = None
        # Where Home Assistant was brought back what is gone, and where it has then been told so.
        self._visited: set[Place] = set()
        self._known_gone: set[Place] = set()

    def subscriptions(self) -> Sequence[Subscription]:
        """Home Assistant's birth message, our document, and what the broker keeps of names and prefixes given up."""
        wanted: list[Subscription] = []
        if self._described is not None or self._given_up:
            wanted.append(Subscription(status_topic(self._place.prefix), self._status_heard, kept=False))
        if self._described is not None:
            wanted.append(Subscription(self._topic, self._document_heard, kept=False))
        topics = {topic: None for one in self._given_up for topic in (one.document_topic, one.availability_topic)}
        return [*wanted, *(Subscription(topic, self._former_heard) for topic in topics if topic)]

    @property
    def reason(self) -> str:
        """See Extension.reason."""
        if self._contests > 1:
            return (
                f"another device announces itself to Home Assistant as {self._place.device!r} too, and only one "
                "of them is shown there: give one of them a mqtt.device_id of its own"
            )
        return self._file.reason

    def before_online(self, line: Line) -> None:
        """Announce the device, retained; components of a former version are told to be gone first."""
        with self._lock:
            self._connected_at_s = None
            if self._described is None:
                return
            documents = [self._described]
            if self._remembered.removed:
                documents.insert(0, with_removals(self._described, self._remembered.removed))
            for described in documents:
                if not line.send(Outgoing(self._topic, _as_json(described), 1, retained=True)):
                    self._tell_anew = True

    def step(self, snapshot: StateSnapshot, now_s: float, line: Line) -> bool:
        """Clear what was given up; True a moment after Home Assistant has started, or has first heard of entities."""
        with self._lock:
            if self._connected_at_s is None:
                self._connected_at_s = now_s
            if now_s - self._connected_at_s < _KEPT_COMES_S:
                return False
            self._clear(line)
            self._looked = True
            self._forget_contest(now_s)
            if self._unknown_there:
                self._unknown_there = False
                return True
            if self._tell_anew and self._tell_anew_at_s is None:
                self._tell_anew_at_s = now_s + self._jitter.uniform(0.0, MAX_JITTER_S)
            if self._tell_anew_at_s is None or now_s < self._tell_anew_at_s:
                return False
            if self._born:
                self._born = False
                self._bring_back(line)
                if self._visited:
                    self._tell_anew_at_s = now_s + _BROUGHT_BACK_S
                    return False
            self._send_away(line)
            if self._contests == 1:
                self._contest_ends_s = now_s + _CONTEST_S
            self._tell_anew = False
            self._tell_anew_at_s = None
            return self._described is not None

    def leaving(self, line: Line) -> None:
        """Forget what is gone; the device itself stays in Home Assistant, and is told there to be offline."""
        with self._lock:
            gone = {one.place for one in self._given_up if one.taken}
            gone |= self._known_gone - {one.place for one in self._given_up if one.to_clear()}
            if self._looked:
                # A mere name: there is nothing of it in Home Assistant.
                gone |= {o.place for o in self._given_up if not (o.components or o.in_use or o.to_clear())}
            if gone:
                self._remembered = self._remembered.without(frozenset(gone))
                self._file.save(self._remembered)

    def _forget_contest(self, now_s: float) -> None:
        """One that did not answer us was there for a moment."""
        if self._contest_ends_s is not None and now_s > self._contest_ends_s:
            self._contest_ends_s = None
            self._contests = 0 if self._contests == 1 else self._contests

    def _clear(self, line: Line) -> None:
        for former in self._given_up:
            for topic in former.to_clear():
                if line.send(Outgoing(topic, "", 1, retained=True)):
                    former.cleared(topic)
                    _log.info("%s was told by this device before; it is cleared", topic)

    def _bring_back(self, line: Line) -> None:
        """Tell once more, for a moment, what Home Assistant may have missed to be gone; once a run."""
        for former in self._given_up:
            if former.in_use or former.place in self._known_gone or not former.components:
                continue
            told = brought_back(former.place, former.components, serial=self._serial)
            if line.send(Outgoing(former.document_topic, _as_json(told), 1)):
                self._visited.add(former.place)
        removed = self._remembered.removed
        if self._described is not None and removed and self._place not in self._known_gone:
            told = brought_back(self._place, removed, serial=self._serial)
            both = {**self._described, "components": {**self._described["components"], **told["components"]}}
            if line.send(Outgoing(self._topic, _as_json(both), 1)):
                self._visited.add(self._place)

    def _send_away(self, line: Line) -> None:
        """What was brought back is told to be gone; where we are, by what is told anew."""
        for former in self._given_up:
            if former.place in self._visited:
                line.send(Outgoing(former.document_topic, "", 1, retained=True))
        self._known_gone |= self._visited
        self._visited.clear()

    # On the network thread.

    def _status_heard(self, message: Received) -> None:
        if message.payload == ONLINE.encode():
            with self._lock:
                self._tell_anew = self._born = True

    def _document_heard(self, message: Received) -> None:
        # A device that took our name for a moment has described itself. An empty one is somebody's wish: Home Assistant
        # sends it when the device is deleted there. A copy of our card bears our mark, under another name.
        named_like_us = speaks_for(message.payload, self._place.node)
        if not message.payload or (named_like_us and serial_in(message.payload) == self._serial):
            return
        with self._lock:
            if not named_like_us:
                # One that is there says it again after us. The two would go on like this for ever.
                self._contests += 1
            if self._contests <= 1:
                self._tell_anew = True

    def _former_heard(self, message: Received) -> None:
        with self._lock:
            for former in self._given_up:
                former.heard(message)


def _as_json(described: Mapping[str, Any]) -> str:
    return json.dumps(described, ensure_ascii=False, separators=(",", ":"))
