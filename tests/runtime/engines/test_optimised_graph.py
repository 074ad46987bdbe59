"""A kept graph answers as its model does, and whatever befalls it, the model runs."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import logging
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from stub_models import MASK_WIDTH, SIZE_PX, write_mc_dropout_bundle

from emomusic_edge import graph_store
from emomusic_edge.errors import ModelError
from emomusic_edge.graph_store import GRAPH_NAME, RECORD_NAME, GraphKey, GraphStore
from emomusic_edge.manifest import MODEL_NAME
from emomusic_edge.model_file import ModelFile, open_bundle
from emomusic_edge.paths import DataLayout, packaged_bundle
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.engines.optimised_graph import open_kept

CPU = ("CPUExecutionProvider",)
INPUTS = {
    "image": np.random.default_rng(1).integers(0, 256, (1, SIZE_PX, SIZE_PX, 3), np.uint8),
    "masks": np.random.default_rng(2).random((5, MASK_WIDTH), np.float32),
}


class Loader:
    """Loads the stub's bundle with a store of its own, and counts what ONNX Runtime is asked for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.bundle = folder / "bundle"
        self.root = folder / "graphs"
        self.manifest = write_mc_dropout_bundle(self.bundle)
        self.levels: list[Any] = []
        real = ort.InferenceSession

        def counted(model: Any, options: ort.SessionOptions, **rest: Any) -> ort.InferenceSession:
            self.levels.append(options.graph_optimization_level)
            return real(model, options, **rest)

        monkeypatch.setattr(ort, "InferenceSession", counted)

    def load(self) -> dict[str, np.ndarray]:
        _, model = open_bundle(self.bundle)
        self.levels.clear()
        return self.answers(OrtEngine(model, name="stub", providers=CPU, graphs=GraphStore(self.root)))

    def plain(self) -> dict[str, np.ndarray]:
        return self.answers(OrtEngine(open_bundle(self.bundle)[1].content(), name="stub", providers=CPU))

    @staticmethod
    def answers(engine: OrtEngine) -> dict[str, np.ndarray]:
        return {name: np.asarray(values) for name, values in engine.run(INPUTS).items()}

    @property
    def folders(self) -> list[Path]:
        return sorted((self.root / "stub").iterdir())


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    return Loader(tmp_path, monkeypatch)


def assert_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    assert one.keys() == other.keys()
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


OPTIMISED, AS_IT_IS = ort.GraphOptimizationLevel.ORT_ENABLE_ALL, ort.GraphOptimizationLevel.ORT_DISABLE_ALL


def test_the_graph_is_optimised_once_and_answers_to_the_bit(loader: Loader) -> None:
    plain = loader.plain()
    assert_same(loader.load(), plain)
    assert loader.levels == [OPTIMISED, AS_IT_IS, AS_IT_IS]
    assert_same(loader.load(), plain)
    assert loader.levels == [AS_IT_IS]
    assert [sorted(path.name for path in folder.iterdir()) for folder in loader.folders] == [[RECORD_NAME, GRAPH_NAME]]


@pytest.mark.parametrize("name", ["blazeface-full", "face-starter", "scene-starter"])
def test_real_models_answer_as_before(name: str, starter_layout: DataLayout, tmp_path: Path) -> None:
    folder = packaged_bundle(name) if name == "scene-starter" else starter_layout.bundle(name)
    manifest, model = open_bundle(folder)
    shape = (1, manifest.image.height_px, manifest.image.width_px, 3)
    inputs = {"image": np.random.default_rng(3).integers(0, 256, shape, np.uint8)}
    plain = OrtEngine(model, name=name, providers=CPU, threads=1).run(inputs)
    for _ in range(2):
        kept = OrtEngine(model, name=name, providers=CPU, threads=1, graphs=GraphStore(tmp_path)).run(inputs)
        for output, values in plain.items():
            np.testing.assert_allclose(kept[output], values, rtol=1e-5, atol=1e-5)
    assert (tmp_path / name).is_dir()


def _damages() -> list[Any]:
    def cut(folder: Path) -> None:
        os.truncate(folder / GRAPH_NAME, 100)

    def replace(folder: Path) -> None:
        (folder / GRAPH_NAME).write_bytes(b"not a graph at all")

    def lose_graph(folder: Path) -> None:
        (folder / GRAPH_NAME).unlink()

    def lose_record(folder: Path) -> None:
        (folder / RECORD_NAME).unlink()

    def spoil_record(folder: Path) -> None:
        (folder / RECORD_NAME).write_text("{}")

    def be_a_file(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.write_text("a file")

    return [cut, replace, lose_graph, lose_record, spoil_record, be_a_file]


@pytest.mark.parametrize("damage", _damages(), ids=lambda damage: damage.__name__)
def test_whatever_befalls_a_kept_graph_the_model_runs(loader: Loader, damage: Any) -> None:
    plain = loader.load()
    damage(loader.folders[0])
    assert_same(loader.load(), plain)
    assert OPTIMISED in loader.levels, "the damaged one was not run"
    assert_same(loader.load(), plain)


def test_a_sound_hash_around_what_is_no_graph_is_passed_over(loader: Loader) -> None:
    """As a record written by a machine that lost its power might be, or one of other hands."""
    plain = loader.load()
    content = b"no graph"
    told = json.loads((loader.folders[0] / RECORD_NAME).read_text())
    told["graph_sha256"] = hashlib.sha256(content).hexdigest()
    (loader.folders[0] / GRAPH_NAME).write_bytes(content)
    (loader.folders[0] / RECORD_NAME).write_text(json.dumps(told))
    assert_same(loader.load(), plain)


@pytest.mark.parametrize("what", ["a file", "a loop"])
def test_a_folder_that_cannot_be_written_leaves_the_plain_way(loader: Loader, what: str) -> None:
    if what == "a file":
        loader.root.write_text("a file stands here")
    else:
        loader.root.symlink_to(loader.root)
    assert_same(loader.load(), loader.plain())


def test_an_altered_bundle_is_refused_though_its_graph_is_kept(loader: Loader) -> None:
    loader.load()
    path = loader.bundle / MODEL_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    for _ in range(2):
        with pytest.raises(ModelError, match="is not the file its record describes"):
            loader.load()


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The models that were hashed though their kept graph was run."""
    paths: list[Path] = []
    real = ModelFile.check

    def counted(model: ModelFile) -> None:
        paths.append(model.path)
        real(model)

    monkeypatch.setattr(ModelFile, "check", counted)
    return paths


def test_a_bundle_that_was_only_copied_anew_runs_its_graph_and_is_hashed_once_more(
    loader: Loader, hashed: list[Path]
) -> None:
    plain = loader.load()
    os.utime(loader.bundle / MODEL_NAME, (1, 1))
    for _ in range(3):
        assert_same(loader.load(), plain)
        assert loader.levels == [AS_IT_IS]
    assert hashed == [loader.bundle / MODEL_NAME]


def test_a_record_that_cannot_be_written_costs_no_more_than_a_hash(
    loader: Loader, hashed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    plain = loader.load()
    os.utime(loader.bundle / MODEL_NAME, (1, 1))
    monkeypatch.setattr(graph_store, "write_atomic", full)
    for _ in range(2):
        assert_same(loader.load(), plain)
        assert loader.levels == [AS_IT_IS]
    assert len(hashed) == 2


def test_two_bundles_of_one_name_keep_a_graph_each(
    loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Loader(tmp_path / "elsewhere", monkeypatch)
    content = onnx.load(other.bundle / MODEL_NAME)
    content.doc_string = "another model"
    onnx.save(content, other.bundle / MODEL_NAME)
    told = json.loads((other.bundle / "manifest.json").read_text())
    told["files"][MODEL_NAME] = hashlib.sha256((other.bundle / MODEL_NAME).read_bytes()).hexdigest()
    (other.bundle / "manifest.json").write_text(json.dumps(told))
    other.root = loader.root
    for one in (loader, other):
        one.load()
    for one in (loader, other):
        one.load()
        assert one.levels == [AS_IT_IS]


def test_what_another_processor_would_run_makes_room(loader: Loader) -> None:
    loader.load()
    old = loader.folders
    key = GraphKey("b" * 64, ort.__version__, "another processor", "all")
    with GraphStore(loader.root).writing("stub", key, open_bundle(loader.bundle)[1]) as graph:
        graph.write_bytes(b"")
    loader.load()
    assert loader.folders == old


class Answering:
    """A session that gives what it was made with."""

    def __init__(self, *answers: np.ndarray) -> None:
        self.answers = list(answers)

    def get_inputs(self) -> list[Any]:
        return []

    def run(self, *_: Any) -> list[np.ndarray]:
        return self.answers


class Sly:
    """Opens a model that answers otherwise once it is optimised and saved; counts what it opens."""

    def __init__(self, *kept: np.ndarray) -> None:
        self.kept = kept
        self.opened = 0

    def __call__(self, content: Any, *, optimise: bool, save_to: Path | None = None) -> Answering:
        self.opened += 1
        if save_to is not None:
            save_to.write_bytes(b"a graph")
        return Answering(np.ones(3)) if optimise else Answering(*self.kept)


def some_model(folder: Path, name: str = "sly") -> tuple[ModelFile, GraphKey]:
    path = folder / f"{name}.onnx"
    path.write_bytes(name.encode())
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    return ModelFile(path, sha256), GraphKey(sha256, "1", "a processor", "all")


@pytest.mark.parametrize(
    "kept",
    [(np.full(3, 2.0),), (np.full(3, np.nan),), (np.ones(1),), (np.ones(4),), (), (np.ones(3), np.ones(3))],
    ids=["other values", "no numbers", "one for three", "four for three", "none", "one too many"],
)
def test_a_graph_that_answers_otherwise_is_not_kept_and_not_made_again(
    tmp_path: Path, kept: tuple[np.ndarray, ...], caplog: pytest.LogCaptureFixture
) -> None:
    model, key = some_model(tmp_path)
    sly = Sly(*kept)
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            store = GraphStore(tmp_path / "graphs")
            assert open_kept(model, "sly", key, store, sly) is None
            assert store.find("sly", key) is None
    assert sly.opened == 2
    assert [record.getMessage() for record in caplog.records] == [
        "the optimised graph of sly answers otherwise than its model and is not kept"
    ]
    newer = dataclasses.replace(key, onnxruntime="2")
    assert open_kept(model, "sly", newer, store, Sly(np.ones(3))) is not None, "another ONNX Runtime may do better"


def test_a_refusal_that_cannot_be_written_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GraphStore, "refuse", full)
    model, key = some_model(tmp_path)
    assert open_kept(model, "sly", key, GraphStore(tmp_path / "graphs"), Sly(np.zeros(3))) is None


def test_of_models_that_load_side_by_side_one_alone_is_optimised(tmp_path: Path) -> None:
    """A small device may not have the memory for several."""
    together = threading.Barrier(3)
    inside: list[str] = []
    most = 0

    def open_one(name: str) -> Any:
        def opener(content: Any, *, optimise: bool, save_to: Path | None = None) -> Answering:
            nonlocal most
            if save_to is not None:
                inside.append(name)
                # Nobody comes when they are optimised one after the other, and the barrier stays broken.
                with contextlib.suppress(threading.BrokenBarrierError):
                    together.wait(0.5)
                most = max(most, len(inside))
                save_to.write_bytes(b"a graph")
            elif name in inside:
                inside.remove(name)
            return Answering(np.ones(3))

        model, key = some_model(tmp_path, name)
        return open_kept(model, name, key, GraphStore(tmp_path / "graphs"), opener)

    with ThreadPoolExecutor() as pool:
        sessions = list(pool.map(open_one, ["scene", "face", "detector"]))
    assert None not in sessions
    assert most == 1


def test_several_at_once_all_run(loader: Loader) -> None:
    """Two services that start together, each without a kept graph."""
    found: list[dict[str, np.ndarray]] = []
    threads = [threading.Thread(target=lambda: found.append(loader.load())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    plain = loader.plain()
    assert len(found) == 4
    for answers in found:
        assert_same(answers, plain)
    assert len([folder for folder in loader.folders if not folder.name.startswith(".")]) == 1
