"""A model that answers nonsense for a while, after good pictures and before: refused, told, and believed again.

The real loop, models in real sessions, fusion, steadying and messages; only the camera is a stand-in. The short run
does some once; `pytest -m faults -s` twenty times each, and prints the rows of docs/reliability.md.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import odd_model
import pytest
from fake_camera import FakeCamera
from fault_figures import REPETITIONS, chance, p95, tell, wait_for

from emomusic_edge.contracts import Image, StateSnapshot
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots, playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.manifest import Manifest, read_bundle
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.capture import LatestFrameCapture
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace
from emomusic_edge.runtime.faces.primary import PrimaryFace
from emomusic_edge.runtime.fusion import FusionRule
from emomusic_edge.runtime.loop import Loop
from emomusic_edge.runtime.loop_parts import Parts
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.mqtt.messages import health_message, state_message
from emomusic_edge.runtime.mqtt.null_publisher import NullPublisher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.predictors import AffectPredictor
from emomusic_edge.runtime.stabilizer import Stabilizer, StabilizerRule
from emomusic_edge.runtime.targets import Targets
from emomusic_edge.runtime.timing import RealTime

GOAL_S = 5.0
NOW = datetime(2026, 11, 28, tzinfo=timezone.utc)


class Rig:
    """A loop that runs, before a camera whose pictures make the scene model answer sense or nonsense."""

    def __init__(self, layout: DataLayout, odd_bundle: Path) -> None:
        self.shown: str | None = None
        self.told: list[StateSnapshot] = []
        self._noise = np.random.default_rng(6)
        self._stop = threading.Event()
        camera = FakeCamera(make=self._picture)

        def engine(folder: Path) -> tuple[OrtEngine, Manifest]:
            manifest, model = read_bundle(folder)
            return OrtEngine(model, name=manifest.name, threads=1), manifest

        face, face_manifest = engine(layout.bundle("face-starter"))
        index = read_index(layout.starter_index)
        roots = AudioRoots(layout.starter_music)
        matcher = Matcher(index, roots, playable_files(index, roots), ChoiceRule())
        self.feed = LatestFrameCapture(camera)
        parts = Parts(
            feed=self.feed,
            timebase=RealTime(),
            detector=BlazeFace(*engine(layout.bundle("blazeface-full"))),
            primary=PrimaryFace(),
            face_model=AffectPredictor(face, face_manifest),
            face_margin=face_manifest.image.face_margin,
            scene_model=AffectPredictor(*engine(odd_bundle)),
            fusion=FusionRule(),
            stabilizer=Stabilizer(StabilizerRule()),
            music=Music(Targets(Alignment(index)), matcher, MusicPlayer(None)),
            publisher=NullPublisher(),
            observers=(self.told.append,),
        )
        self._thread = threading.Thread(target=Loop(parts, frames_per_second=10.0).run, args=(self._stop,))

    def _picture(self, number: int) -> Image:
        time.sleep(0.05)
        return odd_model.picture(self.shown, self._noise.integers(0, 8, (48, 64, 3), np.uint8))

    def start(self) -> None:
        self.feed.start()
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self.feed.close()

    def well(self) -> float:
        """Wait for an estimate of a new picture and nothing that is told; when it was."""
        before = len(self.told)
        return wait_for(lambda: any(s.estimates and not s.reasons for s in self.told[before:]), "to be well")


@pytest.fixture(scope="module")
def rig(starter_layout: DataLayout, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    bundle = tmp_path_factory.mktemp("odd") / "scene-odd"
    odd_model.write_odd_bundle(bundle)
    made = Rig(starter_layout, bundle)
    made.start()
    yield made
    made.stop()


def strike(rig: Rig, kind: str, number: int) -> float:
    """One time of nonsense; seconds from its end until an estimate is believed again."""
    rig.shown = None
    rig.well()
    before = rig.told[-1]
    rig.shown = kind
    began = len(rig.told)
    wait_for(lambda: "models" in rig.told[-1].reasons, f"{kind} to be told")
    time.sleep(chance(kind, number).uniform(0.2, 0.6))
    rig.shown = None
    cured_s = time.monotonic()
    back_s = rig.well() - cured_s
    during = [s for s in rig.told[began:] if "models" in s.reasons]
    assert {s.estimates for s in during} == {()}
    assert {s.fused for s in during} == {None}
    assert before.stable is not None
    for snapshot in rig.told[began:]:
        # what was believed before stands, to the last digit
        assert snapshot.stable is not None
        assert snapshot.stable.mean == pytest.approx(before.stable.mean, abs=1e-6)
        json.loads(state_message(snapshot, NOW).payload(), parse_constant=pytest.fail)
    reason = health_message(during[-1], NOW).reasons["models"]
    assert "scene-odd" in reason
    # what a model made of a room is nobody's business in a log
    assert "65504" not in reason
    assert "4.0" not in reason
    # a song that moves on, or another one
    moments = [(s.playback.segment, s.playback.position_s) for s in during]
    assert None not in [segment for segment, _ in moments]
    assert len(set(moments)) > 0.8 * len(moments)
    return back_s


@pytest.mark.parametrize("kind", ["mean not a number", "variance infinite", "variance zero", "mean overflown"])
def test_nonsense_is_refused_and_told_and_the_music_goes_on(rig: Rig, kind: str) -> None:
    strike(rig, kind, 0)


@pytest.mark.faults
@pytest.mark.parametrize("kind", odd_model.NONSENSE)
def test_twenty_times_nonsense(rig: Rig, kind: str) -> None:
    recoveries = [strike(rig, kind, number) for number in range(REPETITIONS)]
    tell(f"model's {kind}", recoveries)
    assert p95(recoveries) <= GOAL_S
