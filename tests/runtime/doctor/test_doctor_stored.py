"""The doctor at what lies on disk: bundles, the music index and its audio, secrets and who may read them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from emomusic_edge.cli.session import calibrated
from emomusic_edge.config import Settings
from emomusic_edge.deam_index.alignment import people_reference
from emomusic_edge.deam_index.index_file import read_index, write_index
from emomusic_edge.manifest import MODEL_NAME
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.calibration import Calibration, write_calibration
from emomusic_edge.runtime.doctor import models, music, permissions
from emomusic_edge.runtime.doctor.finding import Finding, Level
from emomusic_edge.runtime.doctor.setup import Setup, setup_of
from emomusic_edge.runtime.locate import applied_calibration, model_hashes


@pytest.fixture
def own(starter_layout: DataLayout, tmp_path: Path) -> DataLayout:
    """A copy of the starter set that a test may damage."""
    shutil.copytree(starter_layout.root, tmp_path / "data")
    return DataLayout(tmp_path / "data")


def setup(layout: DataLayout, **sections: dict[str, object]) -> Setup:
    paths = {"data_dir": layout.root, "cache_dir": layout.root / "cache"}
    return Setup(Settings.model_validate({"paths": paths, **sections}))


def by_name(findings: object) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}  # type: ignore[attr-defined]


# Models


def test_whole_models_are_run_and_told_with_hash_and_provider(starter_layout: DataLayout) -> None:
    found = by_name(models.look(setup(starter_layout)))
    assert {name: one.level for name, one in found.items()} == dict.fromkeys(("scene", "face", "detector"), Level.OK)
    for one in found.values():
        assert one.figures["provider"] == "CPUExecutionProvider"
        assert len(str(one.figures["sha256"])) == 64
        assert one.figures["engine_key"] is None


def test_the_models_leave_nothing_behind(own: DataLayout) -> None:
    before = sorted(own.root.rglob("*"))
    list(models.look(setup(own)))
    assert sorted(own.root.rglob("*")) == before


def test_one_flipped_byte_is_found_and_the_others_are_looked_at(own: DataLayout) -> None:
    model = own.bundle("face-starter") / MODEL_NAME
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    found = by_name(models.look(setup(own)))
    assert found["face"].level is Level.PROBLEM
    assert f"{model} is not the file its record describes" in found["face"].found
    assert found["scene"].level is found["detector"].level is Level.OK


def test_a_missing_bundle_and_one_of_the_other_kind(own: DataLayout) -> None:
    shutil.rmtree(own.bundle("blazeface-full"))
    found = by_name(models.look(setup(own, models={"face": "scene-starter"})))
    assert found["detector"].mend == "emomusic-edge export starter"
    assert "is a scene model, a face model is needed" in found["face"].found


def test_an_engine_that_was_asked_for_and_is_not_taken_is_told(starter_layout: DataLayout) -> None:
    found = by_name(models.look(setup(starter_layout, models={"engine": "tensorrt"})))
    assert found["face"].level is Level.OK
    assert found["face-engine"].level is Level.WARNING
    assert "passed over" in found["face-engine"].found


# Music


def test_songs_without_audio_are_counted(own: DataLayout) -> None:
    songs = sorted(own.starter_music.glob("*.ogg"))
    for song in songs[:3]:
        song.unlink()
    found = by_name(music.look(setup(own)))
    assert found["index"].level is Level.OK
    assert found["songs"].level is Level.WARNING
    assert dict(found["songs"].figures) == {"songs": len(songs), "playable": len(songs) - 3, "missing": 3}
    assert f"3 of {len(songs)} songs have no audio" in found["songs"].found
    assert songs[0].name in found["songs"].found


def test_all_songs_there(starter_layout: DataLayout) -> None:
    assert [finding.level for finding in music.look(setup(starter_layout))] == [Level.OK, Level.OK]


def test_an_index_whose_audio_is_all_missing_is_a_problem(starter_layout: DataLayout, tmp_path: Path) -> None:
    found = by_name(music.look(setup(starter_layout, music={"index": "deam", "audio_dir": tmp_path})))
    assert found["songs"].level is Level.PROBLEM
    assert found["songs"].figures["missing"] == 1802
    assert "music.audio_dir" in found["songs"].mend


def test_a_missing_and_a_truncated_index(own: DataLayout, tmp_path: Path) -> None:
    (missing,) = music.look(setup(DataLayout(tmp_path / "empty")))
    assert missing.level is Level.PROBLEM
    assert missing.mend == "emomusic-edge index starter-music"
    content = own.starter_index.read_bytes()
    own.starter_index.write_bytes(content[: len(content) // 2])
    (truncated,) = music.look(setup(own))
    assert truncated.level is Level.PROBLEM
    assert str(own.starter_index) in truncated.found


def test_a_broken_calibration_is_told_beside_whole_music(own: DataLayout) -> None:
    broken = own.calibration("everyone")
    broken.parent.mkdir()
    broken.write_text("{")
    found = by_name(music.look(setup(own)))
    assert found["songs"].level is Level.OK
    assert found["calibration"].level is Level.PROBLEM
    assert str(broken) in found["calibration"].found


def test_a_calibration_made_with_another_model_is_told_and_not_applied(own: DataLayout) -> None:
    made = setup(own)
    used = model_hashes(made.settings)
    numbers = {"neutral_valence": 0.5, "neutral_arousal": 2.0, "sd_valence": 0.1, "sd_arousal": 0.1}
    numbers |= {"shift_valence": -0.5, "shift_arousal": 0.0, "seconds": 60.0}
    for face, fits in ((used.face_sha256, True), ("c" * 64, False)):
        hashes = {"face_sha256": face, "scene_sha256": used.scene_sha256}
        stored = Calibration.model_validate({"person": "everyone", "sure_frames": 500, **numbers, **hashes})
        write_calibration(own.calibration("everyone"), stored)
        applied = applied_calibration(made.settings)
        assert applied.calibration == (stored if fits else None)
        found = by_name(music.look(made))["calibration"]
        assert found.level is (Level.OK if fits else Level.WARNING)
    assert "another face model: it is not applied" in found.found
    assert "emomusic-edge calibrate" in found.mend
    assert calibrated(applied) == applied.reason


def test_an_index_made_for_other_people_is_told(own: DataLayout) -> None:
    assert "alignment" not in by_name(music.look(setup(own)))
    index = read_index(own.starter_index)
    other = people_reference().replace("mean 0.39", "mean 0.5")
    write_index(own.starter_index, replace(index, provenance={**index.provenance, "people": other}))
    found = by_name(music.look(setup(own)))
    assert found["alignment"].level is Level.WARNING
    assert found["songs"].level is Level.OK


# Who may read what


def config(folder: Path, mode: int, **lines: str) -> Path:
    file = folder / "config.toml"
    file.write_text("[mqtt]\n" + "".join(f'{name} = "{value}"\n' for name, value in lines.items()))
    file.chmod(mode)
    return file


@pytest.mark.parametrize(("mode", "level"), [(0o600, Level.OK), (0o640, Level.OK), (0o644, Level.PROBLEM)])
def test_a_password_file_that_others_may_read(mode: int, level: Level, tmp_path: Path) -> None:
    secret = tmp_path / "mqtt-password"
    secret.write_text("sesame\n")
    secret.chmod(mode)
    given = {"mqtt.username": "edge", "mqtt.password_file": str(secret), "paths.data_dir": str(tmp_path)}
    (found,) = permissions.look(setup_of(config(tmp_path, 0o644), given))[1:]
    assert found.level is level
    assert found.figures["mode"] == f"{mode:04o}"
    assert "sesame" not in repr(found)
    if level is Level.PROBLEM:
        assert found.mend == f"chmod o= {secret}"


@pytest.mark.parametrize(
    ("mode", "lines", "level"),
    [
        (0o644, {}, Level.OK),
        (0o646, {}, Level.PROBLEM),
        (0o644, {"username": "edge", "password": "sesame"}, Level.PROBLEM),
        (0o640, {"username": "edge", "password": "sesame"}, Level.OK),
    ],
)
def test_the_configuration(mode: int, lines: dict[str, str], level: Level, tmp_path: Path) -> None:
    given = {"paths.data_dir": str(tmp_path / "data")}
    (found,) = permissions.look(setup_of(config(tmp_path, mode, **lines), given))
    assert found.level is level, found
    assert "sesame" not in repr(found)


@pytest.mark.parametrize(
    "text", ['[mqtt]\npassword = "sesame"\n', '[mqtt]\n"password"="sesame', 'mqtt = {port = 0, password = "sesame"}\n']
)
def test_a_password_in_a_configuration_that_does_not_load_is_one_all_the_same(text: str, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    given = {"paths.data_dir": str(tmp_path / "data")}
    for mode, level in ((0o640, Level.OK), (0o644, Level.PROBLEM)):
        file.chmod(mode)
        looked_at = setup_of(file, given)
        assert looked_at.error is not None
        (found,) = permissions.look(looked_at)
        assert found.level is level


def test_a_configuration_of_somebody_else_decides_what_we_do(tmp_path: Path) -> None:
    file = config(tmp_path, 0o644)
    owner = file.stat().st_uid
    if owner == 0:
        import os

        os.chown(file, 12_345, -1)
    (found,) = permissions.look(setup_of(file, {"paths.data_dir": str(tmp_path / "data")}), uid=54_321)
    assert found.level is Level.WARNING
    assert "user 54321, who runs this" in found.found


def test_a_secret_that_is_missing_or_empty(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    given = {"mqtt.username": "edge", "mqtt.password_file": str(secret), "paths.data_dir": str(tmp_path / "data")}
    for state in ("is not there", "is empty"):
        (found,) = permissions.look(setup_of(None, given))
        assert found.level is Level.PROBLEM
        assert state in found.found
        secret.touch()


def test_what_tells_of_a_person_is_closed_to_others(tmp_path: Path) -> None:
    layout = DataLayout(tmp_path)
    for file in (layout.likes, layout.history):
        file.write_bytes(b"SQLite")
        for mode, level in ((0o600, Level.OK), (0o644, Level.WARNING)):
            file.chmod(mode)
            (found,) = permissions.look(setup(layout))
            assert found.level is level
        assert found.mend == f"chmod 600 {file}"
        file.chmod(0o600)


def test_the_services_password_is_for_root_alone(tmp_path: Path) -> None:
    password = tmp_path / "mqtt-password"
    password.write_text("sesame\n")
    for mode, level in ((0o600, Level.OK), (0o640, Level.PROBLEM), (0o644, Level.PROBLEM)):
        password.chmod(mode)
        (found,) = permissions.look(setup(DataLayout(tmp_path / "data")), service_password=password)
        assert found.level is level
    assert found.mend == f"sudo chmod 600 {password}"


def test_nothing_to_protect_is_well(tmp_path: Path) -> None:
    (found,) = permissions.look(setup(DataLayout(tmp_path)))
    assert found.level is Level.OK
