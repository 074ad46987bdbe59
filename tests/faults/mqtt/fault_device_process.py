"""The device under fault, in a process of its own: the real loop, models, music and mixer, and the real publisher.

Only the camera and the sound device are stand-ins: pictures that grow lighter and darker, and a listener that takes the
sound at the pace of a real device and notes where it lacks. Each line on stdout tells how it goes; each line on stdin
is a JSON order: `{"wall_step_s": 3600}` or `{"stop": true}`.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
from fake_camera import FakeCamera
from offline_sink import OfflineSink

from emomusic_edge import __version__
from emomusic_edge.contracts import Image, Mode, StateSnapshot
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.errors import TwinError
from emomusic_edge.manifest import Manifest, read_bundle
from emomusic_edge.paths import DataLayout, packaged_bundle
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.capture import LatestFrameCapture
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace
from emomusic_edge.runtime.faces.primary import PrimaryFace
from emomusic_edge.runtime.fusion import FusionRule
from emomusic_edge.runtime.home_assistant.discovery import HomeAssistantDiscovery
from emomusic_edge.runtime.home_assistant.remembered import RememberedFile
from emomusic_edge.runtime.loop import Loop
from emomusic_edge.runtime.loop_parts import Parts
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.publisher import MqttPublisher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.predictors import AffectPredictor
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule
from emomusic_edge.runtime.targets import Targets
from emomusic_edge.runtime.timing import RealTime

FRAMES_PER_SECOND = 10.0
_TAKE_S = 0.05
_TELL_S = 0.5


@dataclass
class Told:
    """One line of stdout; counts are since the start of the process.

    Attributes:
        at_s: monotonic, the same clock in every process of this machine.
        reason: what the publisher says is wrong; empty when it is well.
        steps: of the loop.
        longest_step_gap_ms: between the ends of two steps, since the line before.
        standstills: steps at which the music had neither moved on nor changed.
        songs: how many began.
        lacking_frames: sound frames that the device wanted and did not get.
        resident_kib, anonymous_kib, threads, descriptors: of the process.
    """

    at_s: float
    reason: str = ""
    steps: int = 0
    longest_step_gap_ms: float = 0.0
    standstills: int = 0
    songs: int = 0
    lacking_frames: int = 0
    resident_kib: int = 0
    anonymous_kib: int = 0
    threads: int = 0
    descriptors: int = 0


class Ear(threading.Thread):
    """Takes the sound at the device's pace, from the first that is queued on."""

    def __init__(self, sink: OfflineSink) -> None:
        super().__init__(name="ear", daemon=True)
        self.lacking_frames = 0
        self._sink = sink

    def run(self) -> None:
        self._sink.wait_queued(SAMPLE_RATE_HZ // 8)
        started_s, taken = time.monotonic(), 0
        while True:
            time.sleep(_TAKE_S)
            due = round((time.monotonic() - started_s) * SAMPLE_RATE_HZ) - taken
            here = min(due, self._sink.queued())
            if here:
                self._sink.take(here)
            # What was not there was silence: time goes on.
            self.lacking_frames += due - here
            taken += due


class Watch:
    """An observer of the loop."""

    def __init__(self, publisher: MqttPublisher, ear: Ear) -> None:
        self._publisher, self._ear = publisher, ear
        self._told = Told(time.monotonic())
        self._last: StateSnapshot | None = None
        self._ended_s = 0.0

    def __call__(self, snapshot: StateSnapshot) -> None:
        told, now_s = self._told, time.monotonic()
        if self._ended_s:
            told.longest_step_gap_ms = max(told.longest_step_gap_ms, 1e3 * (now_s - self._ended_s))
        self._ended_s = now_s
        told.steps += 1
        self._follow(snapshot)
        reason = self._publisher.reason()
        if reason != told.reason or now_s - told.at_s >= _TELL_S:
            told.at_s, told.reason = now_s, reason
            self._measure()
            print(json.dumps(asdict(told)), flush=True)  # noqa: T201 - the way it tells
            told.longest_step_gap_ms = 0.0

    def _follow(self, snapshot: StateSnapshot) -> None:
        before, self._last = self._last, snapshot
        now = snapshot.playback
        if before is None or before.playback.segment is None:
            self._told.songs += now.segment is not None
            return
        if now.segment != before.playback.segment and now.segment is not None:
            self._told.songs += 1
        elif now.segment is None or (
            now.position_s <= before.playback.position_s and snapshot.t_s > before.t_s and not now.ended
        ):
            self._told.standstills += 1

    def _measure(self) -> None:
        told = self._told
        status = Path("/proc/self/status").read_text(encoding="ascii")
        kib = dict(line.split(":", 1) for line in status.splitlines())
        told.resident_kib, told.threads = int(kib["VmRSS"].split()[0]), int(kib["Threads"])
        told.anonymous_kib = sum(int(kib[name].split()[0]) for name in ("RssAnon", "RssShmem"))
        told.descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names, not paths
        told.lacking_frames = self._ear.lacking_frames


class WallClock:
    """The time of day, which somebody may step."""

    def __init__(self) -> None:
        self.step_s = 0.0

    def __call__(self) -> datetime:
        return datetime.now(timezone.utc) + timedelta(seconds=self.step_s)


def room(number: int) -> Image:
    """Ten pictures a second of a wall that grows lighter and darker: the estimate moves all the time."""
    time.sleep(1 / FRAMES_PER_SECOND)
    grey = 40 + abs(number % 200 - 100) * 2 % 200
    return np.full((240, 320, 3), grey, np.uint8)


def parts(layout: DataLayout, publisher: MqttPublisher, player: MusicPlayer, watch: Watch) -> Parts:
    def engine(folder: Path) -> tuple[OrtEngine, Manifest]:
        manifest, model = read_bundle(folder)
        return OrtEngine(model, name=manifest.name), manifest

    detector, detector_manifest = engine(layout.bundle("blazeface-full"))
    face, face_manifest = engine(layout.bundle("face-starter"))
    scene, scene_manifest = engine(packaged_bundle("scene-starter"))
    index = read_index(layout.starter_index)
    roots = AudioRoots(layout.starter_music)
    matcher = Matcher(index, roots, playable_files(index, roots), ChoiceRule(dwell_s=20.0))
    targets = Targets(Alignment(index))
    targets.set_mode(Mode.MIRROR)
    return Parts(
        feed=LatestFrameCapture(FakeCamera(make=room)),
        timebase=RealTime(),
        detector=BlazeFace(detector, detector_manifest),
        primary=PrimaryFace(),
        face_model=AffectPredictor(face, face_manifest),
        face_margin=face_manifest.image.face_margin,
        scene_model=AffectPredictor(scene, scene_manifest),
        fusion=FusionRule(),
        stabilizer=Stabilizer(StabilizerRule()),
        music=Music(targets, matcher, player),
        publisher=publisher,
        observers=(watch,),
    )


def obey(wall: WallClock, stop: threading.Event) -> None:
    """Follow stdin until it ends."""
    for line in sys.stdin:
        order = json.loads(line)
        wall.step_s += order.get("wall_step_s", 0.0)
        if order.get("stop"):
            break
    stop.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--settings", required=True, help="JSON of BrokerSettings")
    parser.add_argument("--announced", type=Path, required=True, help="what it remembers of Home Assistant")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    wanted = json.loads(arguments.settings)
    for name, value in wanted.items():
        if name.endswith("_file"):
            wanted[name] = Path(value)
    wall, stop, twins = WallClock(), threading.Event(), list[str]()

    def give_way(reason: str) -> None:
        twins.append(reason)
        stop.set()

    settings = BrokerSettings(**wanted)
    discovery = HomeAssistantDiscovery(settings, version=__version__, file=RememberedFile(arguments.announced))
    publisher = MqttPublisher(settings, extensions=[discovery], on_twin=give_way, wall_clock=wall)
    sink = OfflineSink()
    ear, player = Ear(sink), MusicPlayer(StreamMixer(sink))
    made = parts(DataLayout(arguments.data_dir), publisher, player, Watch(publisher, ear))
    threading.Thread(target=obey, args=(wall, stop), daemon=True).start()
    player.start()
    ear.start()
    publisher.start()
    made.feed.start()
    try:
        Loop(made, frames_per_second=FRAMES_PER_SECOND).run(stop)
    finally:
        made.feed.close()
        player.close()
        publisher.close()
    sys.exit(TwinError.exit_code if twins else 0)


if __name__ == "__main__":
    main()
