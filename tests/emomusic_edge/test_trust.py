"""Signatures made and asked for with a real ssh-keygen."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sample_index import assert_equal, sample_index
from stub_models import write_mc_dropout_bundle

from emomusic_edge import trust
from emomusic_edge.deam_index.index_file import read_index, write_index
from emomusic_edge.errors import ConfigError, EmomusicError, IndexFileError, ModelError
from emomusic_edge.manifest import MANIFEST_NAME, MODEL_NAME
from emomusic_edge.model_file import open_bundle
from emomusic_edge.paths import packaged_bundle, packaged_deam_index
from emomusic_edge.trust import sign, signature_check, signature_file

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (Debian: openssh-client)"
)


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path


def trusting(path: Path, *keys: Path, options: str = 'namespaces="emomusic-edge"') -> Path:
    path.write_text("".join(f"me {options} {key.with_suffix('.pub').read_text()}" for key in keys))
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    return make_key(tmp_path / "mine")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return make_key(tmp_path / "other")


@pytest.fixture
def bundle(tmp_path: Path, mine: Path) -> Path:
    """A bundle with my signature."""
    folder = tmp_path / "models" / "stub"
    write_mc_dropout_bundle(folder)
    sign(folder / MANIFEST_NAME, (folder / MANIFEST_NAME).read_bytes(), mine)
    return folder


def opened(bundle: Path, allowed: Path) -> str:
    manifest, model = open_bundle(bundle, check=signature_check(bundle, allowed, ModelError))
    model.check()
    return manifest.name


def test_what_i_signed_is_taken(bundle: Path, mine: Path, other: Path, tmp_path: Path) -> None:
    assert opened(bundle, trusting(tmp_path / "allowed", other, mine))
    allowed = tmp_path / "several names"
    allowed.write_text(f"me@desk,me@couch {mine.with_suffix('.pub').read_text()}")
    assert opened(bundle, allowed)


def _without(bundle: Path, key: Path) -> None:
    signature_file(bundle / MANIFEST_NAME).unlink()


def _by_another_key(bundle: Path, key: Path) -> None:
    sign(bundle / MANIFEST_NAME, (bundle / MANIFEST_NAME).read_bytes(), key)


def _manifest_altered(bundle: Path, key: Path) -> None:
    path = bundle / MANIFEST_NAME
    path.write_text(path.read_text().replace('"note": "', '"note": "x'))


def _model_altered(bundle: Path, key: Path) -> None:
    path = bundle / MODEL_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"\0")


def _another_signed_thing(bundle: Path, key: Path) -> None:
    """A signature by my own key, of something else."""
    place = signature_file(bundle / MANIFEST_NAME)
    place.unlink()
    decoy = bundle.parent / "decoy"
    place.symlink_to(sign(decoy, b"something else", bundle.parents[1] / "mine"))


def _signature_of_another_purpose(bundle: Path, key: Path) -> None:
    path = bundle / MANIFEST_NAME
    signature_file(path).unlink()
    line = ["ssh-keygen", "-q", "-Y", "sign", "-n", "git", "-f", bundle.parents[1] / "mine", path]
    subprocess.run(line, check=True, capture_output=True)


def _no_signature_at_all(bundle: Path, key: Path) -> None:
    signature_file(bundle / MANIFEST_NAME).write_bytes(os.urandom(300))


def _endless(bundle: Path, key: Path) -> None:
    place = signature_file(bundle / MANIFEST_NAME)
    place.unlink()
    place.symlink_to("/dev/zero")


def _pipe(bundle: Path, key: Path) -> None:
    place = signature_file(bundle / MANIFEST_NAME)
    place.unlink()
    os.mkfifo(place)


def _long(bundle: Path, key: Path) -> None:
    signature_file(bundle / MANIFEST_NAME).write_bytes(bytes(1 << 20))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (_without, "is not signed"),
        (_by_another_key, "signed by a key that is not in"),
        (_manifest_altered, "does not bear out its signature by me"),
        (_model_altered, "not the file its record describes"),
        (_another_signed_thing, "does not bear out its signature"),
        (_signature_of_another_purpose, "does not bear out its signature"),
        (_no_signature_at_all, "signed by a key that is not in"),
        (_endless, "is no file"),
        (_pipe, "is no file"),
        (_long, "larger than a signature"),
    ],
)
def test_what_was_altered_is_refused(
    harm: Callable[[Path, Path], None], told: str, bundle: Path, mine: Path, other: Path, tmp_path: Path
) -> None:
    harm(bundle, other)
    with pytest.raises(ModelError, match=told) as error:
        opened(bundle, trusting(tmp_path / "allowed", mine, options=""))
    assert told == "not the file its record describes" or "emomusic-edge sign" in error.value.mend


def test_a_key_that_was_taken_out_is_trusted_no_more(bundle: Path, mine: Path, other: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="not in"):
        opened(bundle, trusting(tmp_path / "allowed", other))
    with pytest.raises(ModelError):
        opened(bundle, trusting(tmp_path / "allowed", mine, options='valid-before="20200101"'))


def test_the_bytes_that_were_checked_are_parsed(bundle: Path, mine: Path, tmp_path: Path) -> None:
    """A manifest swapped while its signature is looked at is never read."""
    check = signature_check(bundle, trusting(tmp_path / "allowed", mine), ModelError)

    def swapping(path: Path, content: bytes) -> None:
        path.write_text("{}")
        check(path, content)

    manifest, _ = open_bundle(bundle, check=swapping)
    assert manifest.files.keys() == {MODEL_NAME}
    with pytest.raises(ModelError, match="does not bear out"):
        opened(bundle, tmp_path / "allowed")


def test_an_index_is_signed_as_a_whole(mine: Path, tmp_path: Path) -> None:
    path, allowed = tmp_path / "index.npz", trusting(tmp_path / "allowed", mine)
    write_index(path, sample_index())
    check = signature_check(path, allowed, IndexFileError)
    with pytest.raises(IndexFileError, match="not signed"):
        read_index(path, check=check)
    sign(path, path.read_bytes(), mine)
    assert_equal(read_index(path, check=check), sample_index())
    write_index(path, sample_index(name="another"))
    with pytest.raises(IndexFileError, match="does not bear out"):
        read_index(path, check=check)


def test_an_index_that_is_mapped(mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emomusic_edge.deam_index.stored_npz.MAPPED_BYTES", 1)
    path = tmp_path / "index.npz"
    write_index(path, sample_index())
    sign(path, path.read_bytes(), mine)
    read_index(path, check=signature_check(path, trusting(tmp_path / "allowed", mine), IndexFileError))


def test_what_ships_with_the_package_needs_no_signature_and_a_link_to_it_does(tmp_path: Path, mine: Path) -> None:
    allowed = trusting(tmp_path / "allowed", mine)
    assert opened(packaged_bundle("scene-starter"), allowed) == "scene-starter"
    read_index(packaged_deam_index(), check=signature_check(packaged_deam_index(), allowed, IndexFileError))
    link = tmp_path / "scene-starter"
    link.symlink_to(packaged_bundle("scene-starter"))
    with pytest.raises(ModelError, match="not signed"):
        opened(link, allowed)


def test_keys_that_are_missing_are_told_and_trust_nothing(bundle: Path, mine: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"trust\.allowed_signers names .*nowhere"):
        opened(bundle, tmp_path / "nowhere")
    (tmp_path / "empty").touch()
    with pytest.raises(ModelError, match="not in"):
        opened(bundle, tmp_path / "empty")


def test_without_ssh_keygen_nothing_is_trusted(
    bundle: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = trusting(tmp_path / "allowed", mine)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="ssh-keygen is not here") as error:
        opened(bundle, allowed)
    assert "openssh-client" in error.value.mend


def test_an_ssh_keygen_that_hangs_is_given_up(
    bundle: Path, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "ssh-keygen"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    allowed = trusting(tmp_path / "allowed", mine)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(trust, "_TIMEOUT_S", 0.3)
    with pytest.raises(EmomusicError, match="no answer"):
        opened(bundle, allowed)


def command(*words: object, data: Path) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "emomusic_edge", *map(str, words)]
    environment = {**os.environ, "EMOMUSIC_PATHS__DATA_DIR": str(data)}
    return subprocess.run(line, capture_output=True, text=True, check=False, env=environment)


def test_the_command_signs_by_name_folder_and_file_and_says_how_to_trust(bundle: Path, tmp_path: Path) -> None:
    signature_file(bundle / MANIFEST_NAME).unlink()
    index = tmp_path / "index.npz"
    write_index(index, sample_index())
    done = command("sign", "stub", index, "--key", tmp_path / "mine", data=tmp_path)
    assert done.returncode == 0, done.stderr
    allowed = tmp_path / "allowed"
    allowed.write_text(done.stdout.splitlines()[-1] + "\n")
    assert opened(bundle, allowed)
    read_index(index, check=signature_check(index, allowed, IndexFileError))


def test_the_command_signs_nothing_broken(bundle: Path, tmp_path: Path) -> None:
    signature_file(bundle / MANIFEST_NAME).unlink()
    _model_altered(bundle, tmp_path)
    done = command("sign", bundle, "--key", tmp_path / "mine", data=tmp_path)
    assert done.returncode == ModelError.exit_code
    assert not signature_file(bundle / MANIFEST_NAME).exists()
    done = command("sign", packaged_deam_index(), "--key", tmp_path / "no-key", data=tmp_path)
    assert done.returncode == ConfigError.exit_code
    assert "does not sign" in done.stderr
    assert not signature_file(packaged_deam_index()).exists()
