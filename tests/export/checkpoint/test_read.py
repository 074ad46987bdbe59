"""Nothing in a checkpoint runs, and no damaged one gets past as anything but an error that names it."""

from __future__ import annotations

import contextlib
import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

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
