"""What is kept of a model so that it starts sooner or runs faster (a graph, a TensorRT engine), when it is no good.

It is made anew or passed over, with words, and the model runs all the same. TensorRT is a strict fake, ONNX Runtime is
real.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import shutil
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cuda_fake import FakeCudaDevice
from fault_figures import REPETITIONS, chance, tell
from fault_files import SPOILS, fill_with_noise
from stub_models import MASK_WIDTH, SIZE_PX, write_mc_dropout_bundle
from tensorrt_fake import VERSIONS, FakeTensorRT

from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.engine_store import PLAN_NAME, EngineRecord, EngineStore, engine_key
from emomusic_edge.export.tensorrt.build import BuildRequest, build_engine
from emomusic_edge.graph_store import GRAPH_NAME, GraphStore
from emomusic_edge.graph_store import RECORD_NAME as GRAPH_RECORD
from emomusic_edge.manifest import MODEL_NAME
from emomusic_edge.model_file import open_bundle
from emomusic_edge.runtime.engines.choose import CPU_PROVIDER, EngineMakers, choose_engine
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine

ORIN = Gpu("Orin", 8, "8.7", "12.6", "36.4.3")


def the_one(folder: Path, name: str) -> Path:
    (found,) = folder.rglob(name)
    return found


def foreign_graph(folder: Path, dice: random.Random) -> None:
    """One of another ONNX Runtime, or another processor."""
    record = the_one(folder, GRAPH_RECORD)
    content = json.loads(record.read_text())
    content["key"][dice.choice(("onnxruntime", "cpu", "onnx_sha256"))] = f"another {dice.random()}"
    record.write_text(json.dumps(content))


TIMES = pytest.mark.parametrize("times", [2, pytest.param(REPETITIONS, marks=pytest.mark.faults)])


@TIMES
@pytest.mark.parametrize("how", [*SPOILS, "foreign", "record truncated"])
def test_a_kept_graph_that_is_no_good_is_made_anew(tmp_path: Path, how: str, times: int) -> None:
    bundle, graphs = tmp_path / "face-stub", tmp_path / "graphs"
    write_mc_dropout_bundle(bundle)
    inputs = {
        "image": np.random.default_rng(1).integers(0, 256, (1, SIZE_PX, SIZE_PX, 3), np.uint8),
        "masks": np.ones((5, MASK_WIDTH), np.float32),
    }

    def answers() -> Any:
        _, model = open_bundle(bundle)
        return OrtEngine(model, name="stub", providers=[CPU_PROVIDER], graphs=GraphStore(graphs)).run(inputs)

    expected = answers()
    recoveries = []
    for number in range(times):
        dice = chance(f"graph {how}", number)
        if how == "foreign":
            foreign_graph(graphs, dice)
        elif how == "record truncated":
            SPOILS["truncated"](the_one(graphs, GRAPH_RECORD), dice)
        else:
            SPOILS[how](the_one(graphs, GRAPH_NAME), dice)
        began_s = time.monotonic()
        found = answers()
        recoveries.append(time.monotonic() - began_s)
        assert all(np.allclose(found[name], expected[name], atol=1e-4) for name in expected)
        # and kept again
        assert len(list(graphs.rglob(GRAPH_NAME))) == 1
    tell(f"kept graph {how}", recoveries)


class Jetson:
    """A machine with TensorRT (a strict fake) and one engine of the stub bundle."""

    def __init__(self, folder: Path) -> None:
        self.bundle = folder / "face-stub"
        self.manifest = write_mc_dropout_bundle(self.bundle)
        self.engines = folder / "engines"
        self.trt = FakeTensorRT(VERSIONS[0])

    def keep(self, **other: str) -> Path:
        """Keep an engine; `other` says in what it is another one's."""
        shutil.rmtree(self.engines, ignore_errors=True)
        plan = build_engine(self.trt, self.bundle / MODEL_NAME, BuildRequest("face-stub"))
        key = dataclasses.replace(engine_key(self.manifest, ORIN, self.trt.__version__, (1, 64, 128)), **other)
        record = EngineRecord(
            key=key,
            plan_sha256=hashlib.sha256(plan).hexdigest(),
            smoke={},
            created_at=datetime(2026, 11, 24, tzinfo=timezone.utc),
        )
        return EngineStore(self.engines).write("face-stub", record, plan)

    def load(self) -> tuple[str, str]:
        """What the bundle runs on, and why on nothing better."""
        _, model = open_bundle(self.bundle)
        makers = EngineMakers(
            lambda: ORIN,
            lambda: self.trt,
            lambda plan, name, trt: TensorRTEngine(plan, name=name, trt=trt, device=FakeCudaDevice),
            lambda model, name, providers: OrtEngine(model, name=name, providers=[CPU_PROVIDER]),
        )
        chosen = choose_engine(
            model, self.manifest, makers, wanted="auto", samples=None, store=EngineStore(self.engines)
        )
        provider = chosen.engine.provider
        chosen.close()
        return provider, "; ".join(map(str, chosen.passed_over))


@TIMES
@pytest.mark.parametrize("how", ["foreign", "stale", *SPOILS, "spoiled under its hash"])
def test_an_engine_that_is_no_good_is_passed_over_and_the_next_one_runs(tmp_path: Path, how: str, times: int) -> None:
    jetson = Jetson(tmp_path)
    jetson.keep()
    assert jetson.load() == (f"TensorRT {VERSIONS[0]}", "")
    recoveries = []
    for number in range(times):
        dice = chance(f"engine {how}", number)
        if how == "foreign":
            jetson.keep(**{dice.choice(("device", "platform", "compute_capability")): "another"})
        elif how == "stale":
            jetson.keep(**{dice.choice(("tensorrt", "onnx_sha256", "precision")): "another"})
        elif how == "spoiled under its hash":
            _spoil_under_its_hash(jetson.keep(), dice)
        else:
            SPOILS[how](jetson.keep() / PLAN_NAME, dice)
        began_s = time.monotonic()
        provider, why = jetson.load()
        recoveries.append(time.monotonic() - began_s)
        assert provider == CPU_PROVIDER
        assert "TensorRT is passed over" in why
        assert "emomusic-edge export engine face-stub" in why
    tell(f"engine {how}", recoveries)


def _spoil_under_its_hash(folder: Path, dice: random.Random) -> None:
    """As a builder on a failing disk would leave it: the record agrees with what is there."""
    fill_with_noise(folder / PLAN_NAME, dice)
    record = json.loads((folder / "engine.json").read_text())
    record["plan_sha256"] = hashlib.sha256((folder / PLAN_NAME).read_bytes()).hexdigest()
    (folder / "engine.json").write_text(json.dumps(record))
