"""The real publisher with Home Assistant's extension, stepped by a thread that obeys the commands as the loop does."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from sample_snapshot import SNAPSHOT

from emomusic_edge.contracts import (
    Command,
    Pace,
    Pause,
    Resume,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    StateSnapshot,
    ValenceArousal,
)
from emomusic_edge.runtime.home_assistant.discovery import HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.messages import DeviceFacts
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher

_STEP_S = 0.05
WARM = replace(SNAPSHOT, pace=Pace(frames_per_second=10.0, temperature_c=48.5))


class SteppingDevice:
    """A device without camera and music: what it tells is `snapshot`, which a test may change; `heard` is what came."""

    def __init__(self, settings: BrokerSettings, file: Path, **others: Any) -> None:
        self.snapshot = WARM
        self.heard: list[Command] = []
        discovery = HomeAssistantDiscovery(
            settings, version="1.2.3", file=RememberedFile(file), jitter=random.Random(7), **others
        )
        self._publisher = MqttPublisher(settings, DeviceFacts("1.2.3", "sample clip"), extensions=[discovery])
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._publisher.start()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._publisher.close()

    def reason(self) -> str:
        return self._publisher.reason()

    def change(self, **changes: Any) -> None:
        self.snapshot = replace(self.snapshot, **changes)

    def _run(self) -> None:
        while not self._stop.wait(_STEP_S):
            for command in self._publisher.commands():
                self.heard.append(command)
                self.snapshot = _obeyed(self.snapshot, command)
            self._publisher.publish(self.snapshot)


def _obeyed(snapshot: StateSnapshot, command: Command) -> StateSnapshot:
    playback = snapshot.playback
    if isinstance(command, (Pause, Resume)):
        paused = isinstance(command, Pause)
        return replace(snapshot, camera_on=not paused, playback=replace(playback, paused=paused))
    if isinstance(command, SetCamera):
        return replace(snapshot, camera_on=command.on)
    if isinstance(command, SetMode):
        return replace(snapshot, mode=command.mode)
    if isinstance(command, SetVolume):
        return replace(snapshot, playback=replace(playback, volume=command.volume))
    if isinstance(command, SetMood):
        was = snapshot.manual_mood or ValenceArousal(0.0, 3.0)
        valence = was.valence if command.valence is None else command.valence
        arousal = was.arousal if command.arousal is None else command.arousal
        return replace(snapshot, manual_mood=ValenceArousal(valence, arousal))
    return snapshot


@contextmanager
def stepping(settings: BrokerSettings, file: Path, **others: Any) -> Iterator[SteppingDevice]:
    device = SteppingDevice(settings, file, **others)
    device.start()
    try:
        yield device
    finally:
        device.close()
