"""A model file is what its hash says when it is opened, and stays so until it is closed."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stub_models import write_mc_dropout_bundle

from emomusic_edge import model_file
from emomusic_edge.errors import ModelError
from emomusic_edge.manifest import EXTERNAL_DATA, MODEL_NAME, read_bundle
from emomusic_edge.model_file import ModelFile, open_bundle


def written(path: Path, content: bytes) -> ModelFile:
    path.write_bytes(content)
    return ModelFile(path, hashlib.sha256(content).hexdigest(), "make it again")


def read(given_to_the_parser: str | bytes) -> bytes:
    return given_to_the_parser if isinstance(given_to_the_parser, bytes) else Path(given_to_the_parser).read_bytes()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 1000])
def test_what_is_opened_is_the_content(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_file, "_PIECE_BYTES", 100)
    content = os.urandom(size)
    file = written(tmp_path / "model.onnx", content)
    before = open_files()
    file.check()
    with file.opened() as name:
        assert read(name) == content
    with file.opened_in_place() as name:
        assert read(name) == content
    assert file.content() == content
    assert open_files() == before


def test_what_is_opened_can_not_be_written_to_nor_replaced(tmp_path: Path) -> None:
    file = written(tmp_path / "model.onnx", b"as it was checked")
    with file.opened() as name:
        file.path.write_bytes(b"of somebody else!")
        assert read(name) == b"as it was checked"
        assert isinstance(name, str)
        with pytest.raises(PermissionError), Path(name).open("r+b", buffering=0) as writer:
            writer.write(b"x")


@pytest.mark.parametrize("content", [b"", b"a model!", b"another model of another length"])
def test_an_altered_or_missing_file_is_refused(content: bytes, tmp_path: Path) -> None:
    file = written(tmp_path / "model.onnx", b"a model.")
    before = open_files()
    for damage in (lambda: file.path.write_bytes(content), file.path.unlink):
        damage()
        for way in (file.opened, file.opened_in_place):
            with pytest.raises(ModelError, match=r"model\.onnx") as caught, way():
                pass
            assert caught.value.mend == "make it again"
        for read_all in (file.check, file.content):
            with pytest.raises(ModelError, match=r"model\.onnx"):
                read_all()
    with pytest.raises(ModelError, match="cannot be read"):
        file.stamp()
    assert open_files() == before


@given(before=st.integers(0, 60), after=st.integers(0, 60), piece=st.integers(1, 40))
def test_a_name_of_outside_data_is_seen_wherever_the_pieces_end(
    before: int, after: int, piece: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_file, "_PIECE_BYTES", piece)
        folder = tmp_path_factory.mktemp("bundle")
        sly = written(folder / "model.onnx", b"." * before + EXTERNAL_DATA + b"." * after)
        with pytest.raises(ModelError, match="another file"), sly.opened():
            pass
        fair = written(folder / "model.onnx", b"." * before + EXTERNAL_DATA[:-1] + b"." * after)
        with fair.opened():
            pass


@pytest.mark.parametrize("missing", [True, False])
def test_without_memory_files_the_bytes_are_given(
    missing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> int:
        raise PermissionError(errno.EPERM, "not allowed")

    if missing:
        monkeypatch.delattr(os, "memfd_create")
    else:
        monkeypatch.setattr(os, "memfd_create", forbidden)
    file = written(tmp_path / "model.onnx", b"a model")
    with file.opened() as content:
        assert content == b"a model"
    file.path.write_bytes(b"another")
    with pytest.raises(ModelError), file.opened():
        pass


def test_a_bundle_opens_as_it_is_read(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "b")
    manifest, model = open_bundle(tmp_path / "b", mend="make it")
    assert (manifest, model.content()) == read_bundle(tmp_path / "b")
    assert model.stamp() == (len(model.content()), (tmp_path / "b" / MODEL_NAME).stat().st_mtime_ns)
    with pytest.raises(ModelError) as caught:
        open_bundle(tmp_path / "none", mend="make it")
    assert caught.value.mend == "make it"
