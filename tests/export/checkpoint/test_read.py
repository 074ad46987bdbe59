"""Nothing in a checkpoint runs, and no damaged one gets past as anything but an error that names it."""

from __future__ import annotations

import argparse
import collections
import contextlib
import io
import pickle
import sys
import types
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from safetensors.torch import save  # noqa: E402

from emomusic_edge.errors import ModelError  # noqa: E402
from emomusic_edge.export.checkpoint.read import read_checkpoint  # noqa: E402


class Bomb:
    """Unpickled by anything that runs what a pickle asks for, it writes a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.mark, "ran")


def raw_pickle(path: Path, content: object) -> None:
    path.write_bytes(pickle.dumps(content))


def legacy(path: Path, content: object) -> None:
    torch.save(content, path, _use_new_zipfile_serialization=False)


def zipped(path: Path, content: object) -> None:
    torch.save(content, path)


FORMATS = {"zip": zipped, "legacy": legacy, "raw": raw_pickle}


@pytest.mark.parametrize("name", FORMATS)
def test_a_pickle_that_runs_code_is_refused_and_nothing_runs(name: str, tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "model.pth"
    FORMATS[name](file, {"model": Bomb(mark)})
    with pytest.raises(ModelError, match=r"model\.pth") as caught:
        read_checkpoint(file)
    assert not mark.exists()
    assert "safetensors" in caught.value.mend
    # The bomb is a real one: without the guard it goes off.
    if name == "raw":
        pickle.loads(file.read_bytes())
    else:
        torch.load(file, weights_only=False)
    assert mark.exists()


def test_a_pickle_hidden_in_the_archive_of_a_real_checkpoint_does_not_run(tmp_path: Path) -> None:
    mark, file = tmp_path / "ran", tmp_path / "model.pth"
    torch.save({"weight": torch.ones(3)}, tmp_path / "real.pth")
    with zipfile.ZipFile(tmp_path / "real.pth") as source, zipfile.ZipFile(file, "w") as target:
        for item in source.namelist():
            bomb = item.endswith("data.pkl")
            target.writestr(item, pickle.dumps(Bomb(mark), protocol=2) if bomb else source.read(item))
    with pytest.raises(ModelError, match=r"nothing ran|nothing of it ran"):
        read_checkpoint(file)
    assert not mark.exists()


def test_a_whole_pickled_model_is_refused_by_the_name_of_what_it_asks_for(tmp_path: Path) -> None:
    torch.save(torch.nn.Linear(2, 1), tmp_path / "model.pth")
    with pytest.raises(ModelError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(tmp_path / "model.pth")


@contextlib.contextmanager
def pretended(package: str, module: str, name: str) -> Iterator[type]:
    """A class that pickles as that of a package which is not here, while the block lasts."""
    made = type(name, (), {"__module__": f"{package}.{module}"})
    outer, inner = types.ModuleType(package), types.ModuleType(f"{package}.{module}")
    setattr(inner, name, made)
    setattr(outer, module, inner)
    sys.modules |= {package: outer, f"{package}.{module}": inner}
    try:
        yield made
    finally:
        del sys.modules[package], sys.modules[f"{package}.{module}"]


def test_what_training_frameworks_keep_beside_the_weights_does_not_matter(tmp_path: Path) -> None:
    """fastai's learn.save keeps its hyper-parameters in fastcore's list, Lightning's checkpoints keep all sorts."""
    with pretended("fastcore", "foundation", "L") as fastcore_list:
        hypers = fastcore_list()
        hypers.items = [{"lr": 1e-3}]
        content = {
            "model": {"weight": torch.ones(3)},
            "opt": {"state": [], "hypers": hypers},
            "hyper_parameters": {
                "folder": Path("runs"),
                "arguments": argparse.Namespace(lr=0.1),
                "rate": np.float64(0.3),
                "weights": np.ones(3),
                "counts": collections.defaultdict(list, {"a": [1]}),
            },
        }
        torch.save(content, tmp_path / "learn.pth")
    found = read_checkpoint(tmp_path / "learn.pth")
    torch.testing.assert_close(found["model"]["weight"], torch.ones(3))
    assert type(found["opt"]["hypers"]).__name__ == "_Inert"


def test_the_stand_ins_run_nothing(tmp_path: Path) -> None:
    """A harmless name called with a harmful argument is still only a stand-in."""
    mark = tmp_path / "ran"
    content = b"\x80\x02}X\x05\x00\x00\x00modelcpathlib\nPosixPath\n(X\x01\x00\x00\x00atRs."
    torch.save({"x": torch.ones(1)}, tmp_path / "real.pth")
    with zipfile.ZipFile(tmp_path / "real.pth") as source, zipfile.ZipFile(tmp_path / "model.pth", "w") as target:
        for item in source.namelist():
            target.writestr(item, content if item.endswith("data.pkl") else source.read(item))
    assert not isinstance(read_checkpoint(tmp_path / "model.pth")["model"], Path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"x", b"not a checkpoint at all, but text", b"\x80\x02]q\x00.", bytes(64)])
def test_what_is_no_checkpoint_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.pth"):
        read_checkpoint(tmp_path / "model.pth")


@pytest.mark.parametrize("content", [[torch.ones(2)], {}, {1: torch.ones(2)}, torch.ones(2)])
def test_what_is_no_mapping_by_name_is_told(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "model.pth")
    with pytest.raises(ModelError, match="state_dict"):
        read_checkpoint(tmp_path / "model.pth")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(ModelError, match=path.name):
            read_checkpoint(path)


def _made(kind: str) -> bytes:
    tensors = {"backbone.weight": torch.arange(12.0).reshape(3, 4), "valence_head.0.bias": torch.ones(2)}
    if kind == "safetensors":
        return save(tensors)
    buffer = io.BytesIO()
    torch.save(tensors, buffer, _use_new_zipfile_serialization=kind == "zip")
    return buffer.getvalue()


@settings(max_examples=150)
@given(st.sampled_from(["zip", "legacy", "safetensors"]), st.data())
def test_damage_is_an_error_or_harmless_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    content = bytearray(_made(kind))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path_factory.mktemp("damaged") / "model.bin"
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    with contextlib.suppress(ModelError):
        assert read_checkpoint(file)


def test_a_refusal_stays_short_whatever_the_file_is_called_inside(tmp_path: Path) -> None:
    """Found by fuzzing: zipfile quotes a member's name in full, and a damaged length makes that the file."""
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"x" * 20_000)
    content = bytearray(path.read_bytes())
    # the length of the name in the member's own header
    content[26:28] = (18_000).to_bytes(2, "little")
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no archive as torch") as told:
        read_checkpoint(path)
    assert len(str(told.value)) < 1000
