"""Optimised graphs are found by what they are bound to, only whole, and a few of a bundle are kept."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import pytest

from emomusic_edge.cpu_identity import cpu_identity
from emomusic_edge.errors import ModelError
from emomusic_edge.graph_store import GRAPH_NAME, RECORD_NAME, GraphKey, GraphStore
from emomusic_edge.model_file import ModelFile

KEY = GraphKey("a" * 64, "1.28.0", "x86_64; flags=avx2", "all")


@pytest.fixture
def store(tmp_path: Path) -> GraphStore:
    return GraphStore(tmp_path / "graphs")


@pytest.fixture
def model(tmp_path: Path) -> ModelFile:
    (tmp_path / "model.onnx").write_bytes(b"a model")
    return ModelFile(tmp_path / "model.onnx", KEY.onnx_sha256)


def keep(store: GraphStore, model: ModelFile, key: GraphKey = KEY, content: bytes = b"a graph") -> Path:
    with store.writing("face-x", key, model) as graph:
        graph.write_bytes(content)
    return store.folder("face-x", key)


def test_what_is_kept_is_found(store: GraphStore, model: ModelFile) -> None:
    assert store.find("face-x", KEY) is None
    folder = keep(store, model)
    assert sorted(path.name for path in folder.iterdir()) == [RECORD_NAME, GRAPH_NAME]
    found = store.find("face-x", KEY)
    assert found is not None
    assert found.file.content() == b"a graph"
    assert found.is_of(model)
    assert store.find("face-y", KEY) is None


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(GraphKey)])
def test_whatever_it_is_bound_to_counts(store: GraphStore, model: ModelFile, field: str) -> None:
    keep(store, model)
    other = dataclasses.replace(KEY, **{field: "b" * 64})
    assert store.find("face-x", other) is None
    keep(store, model, other)
    assert store.find("face-x", other) is not None
    runs_here = field in ("onnx_sha256", "optimisation")
    assert (store.find("face-x", KEY) is not None) == runs_here, "what this machine does not run any more goes"


def test_of_one_name_the_last_three_stay(store: GraphStore, model: ModelFile) -> None:
    """Bundles in several folders may bear one name: they would take each other's place at each start."""
    keys = [dataclasses.replace(KEY, onnx_sha256=digit * 64) for digit in "bcdef"]
    for place, key in enumerate(keys):
        os.utime(keep(store, model, key) / RECORD_NAME, (place, place))
    assert [store.find("face-x", key) is not None for key in keys] == [False, False, True, True, True]
    assert not store.folder("face-x", keys[0]).exists()


@pytest.mark.parametrize("record", ["", "{}", None])
def test_what_has_no_sound_record_goes(store: GraphStore, model: ModelFile, record: str | None) -> None:
    old = keep(store, model)
    (old / RECORD_NAME).unlink()
    if record is not None:
        (old / RECORD_NAME).write_text(record)
    keep(store, model, dataclasses.replace(KEY, onnx_sha256="b" * 64))
    assert not old.exists()


def test_what_another_process_is_just_writing_stays(store: GraphStore, model: ModelFile) -> None:
    scratch = keep(store, model).parent / ".scratch"
    scratch.mkdir()
    keep(store, model)
    assert scratch.exists()


def test_a_refused_graph_is_not_found_and_remembered_for_its_key_alone(store: GraphStore, model: ModelFile) -> None:
    newer = dataclasses.replace(KEY, onnxruntime="1.29.0")
    assert not store.is_refused("face-x", KEY)
    folder = keep(store, model)
    store.refuse("face-x", KEY, model)
    assert [path.name for path in folder.iterdir()] == [RECORD_NAME]
    assert store.find("face-x", KEY) is None
    assert store.is_refused("face-x", KEY)
    assert not store.is_refused("face-x", newer)
    keep(store, model, newer)
    assert not folder.exists()


def test_a_refused_one_may_be_kept_after_all(store: GraphStore, model: ModelFile) -> None:
    store.refuse("face-x", KEY, model)
    keep(store, model)
    assert store.find("face-x", KEY) is not None
    assert not store.is_refused("face-x", KEY)


def test_a_new_stamp_is_all_that_changes(store: GraphStore, model: ModelFile) -> None:
    keep(store, model)
    found = store.find("face-x", KEY)
    assert found is not None
    os.utime(model.path, (1, 1))
    assert not found.is_of(model)
    store.stamp_anew(found, model.stamp())
    again = store.find("face-x", KEY)
    assert again is not None
    assert again.is_of(model)
    assert again.file == found.file
    assert again.record.key == KEY


def test_a_model_that_was_written_to_shows(store: GraphStore, model: ModelFile) -> None:
    keep(store, model)
    found = store.find("face-x", KEY)
    assert found is not None
    model.path.write_bytes(b"A model")
    assert not found.is_of(model)


@pytest.mark.parametrize("record", [b"", b"{}", b"not json", b"{" * (2 << 20), None])
def test_an_unsound_record_finds_nothing(store: GraphStore, model: ModelFile, record: bytes | None) -> None:
    folder = keep(store, model)
    if record is None:
        (folder / RECORD_NAME).unlink()
        (folder / RECORD_NAME).mkdir()
    else:
        (folder / RECORD_NAME).write_bytes(record)
    assert store.find("face-x", KEY) is None


def test_the_record_of_another_graph_finds_nothing(store: GraphStore, model: ModelFile) -> None:
    folder = keep(store, model)
    other = dataclasses.replace(KEY, onnxruntime="1.23.2")
    folder.rename(store.folder("face-x", other))
    assert store.find("face-x", other) is None


def test_an_altered_graph_does_not_open(store: GraphStore, model: ModelFile) -> None:
    folder = keep(store, model)
    (folder / GRAPH_NAME).write_bytes(b"a grape")
    found = store.find("face-x", KEY)
    assert found is not None
    with pytest.raises(ModelError, match="sha256"), found.file.opened_in_place():
        pass


def test_what_fails_while_it_is_written_leaves_nothing(store: GraphStore, model: ModelFile) -> None:
    folder = keep(store, model)

    def be_killed(graph: Path) -> None:
        graph.write_bytes(b"half a gra")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), store.writing("face-x", KEY, model) as graph:
        be_killed(graph)
    assert [path.name for path in folder.parent.iterdir()] == [KEY.digest()]
    found = store.find("face-x", KEY)
    assert found is not None
    assert found.file.content() == b"a graph"


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, model: ModelFile) -> None:
    (tmp_path / "graphs").write_text("a file stands here")
    store = GraphStore(tmp_path / "graphs")
    assert store.find("face-x", KEY) is None
    with pytest.raises((FileExistsError, NotADirectoryError)):
        keep(store, model)


def test_the_processor_is_told_by_its_kind_not_by_its_state(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast\ncpu MHz\t\t: 1200.0\nflags\t\t: avx2 fma\n")
    slow = cpu_identity(cpuinfo)
    assert "avx2 fma" in slow
    cpuinfo.write_text(cpuinfo.read_text().replace("1200", "3400") + "processor\t: 1\nmodel name\t: Fast\n")
    assert cpu_identity(cpuinfo) == slow
    cpuinfo.write_text(cpuinfo.read_text().replace("avx2", "avx512f"))
    assert cpu_identity(cpuinfo) != slow


def test_both_kinds_of_cores_count(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("CPU part\t: 0xd42\nFeatures\t: asimd\n\nCPU part\t: 0xd05\nFeatures\t: asimd\n")
    assert {"0xd42", "0xd05"} <= set(cpu_identity(cpuinfo).replace("CPU part=", "").split("; "))


@pytest.mark.parametrize("text", [None, "", "nothing: of use\n"])
def test_an_unknown_processor_has_no_identity(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert cpu_identity(tmp_path / "cpuinfo") == ""
