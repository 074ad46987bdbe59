"""The sound device: one contract for the real mixer and the fake; what leaves SDL, read from its disk driver."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_mixer import FakeMixer
from sounds import CHIRP_HZ_PER_S, FORMATS, chirp, levels, recording, run, sine, write

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.mixer import HEADROOM, SAMPLE_RATE_HZ, PygameMixer, shape_in_place
from emomusic_edge.runtime.audio.output import AudioOutput


@dataclass
class Rig:
    """An output and how to tell what sounds of it."""

    output: AudioOutput
    sounding: Callable[[], int]
    unplug: Callable[[], None]
    let_fades_end: Callable[[], None]

    def wait_for_sounding(self, count: int) -> None:
        deadline_s = time.monotonic() + 20
        while self.sounding() != count:
            assert time.monotonic() < deadline_s, f"{self.sounding()} tracks sound, expected {count}"
            self.let_fades_end()
            time.sleep(0.01)


def _real_rig(monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")

    def sounding() -> int:
        import pygame.mixer

        return sum(pygame.mixer.Channel(number).get_busy() for number in range(2))

    return Rig(PygameMixer(), sounding, lambda: monkeypatch.setenv("SDL_AUDIODRIVER", "nonexistent"), lambda: None)


def _fake_rig() -> Rig:
    def duration_of(path: Path) -> float:
        try:
            seconds = float(soundfile.info(path).duration)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: {error}") from error
        if seconds == 0:
            raise AudioError(f"{path}: holds no sound")
        return seconds

    fake = FakeMixer(duration_of)
    return Rig(
        fake, lambda: len(fake.scene.voices), lambda: setattr(fake, "present", False), lambda: fake.let_fades_end()
    )


@pytest.fixture(params=["real", "fake"])
def rig(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    made = _real_rig(monkeypatch) if request.param == "real" else _fake_rig()
    yield made
    made.output.close()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("songs")
    return {ending: write(folder / f"song.{ending}", chirp(8.0)) for ending in FORMATS}


def test_lives_from_open_to_close(rig: Rig) -> None:
    assert not rig.output.alive()
    rig.output.close()
    rig.output.open()
    assert rig.output.alive()
    rig.output.open()
    assert rig.output.alive()
    rig.output.close()
    assert not rig.output.alive()
    rig.output.open()
    assert rig.output.alive()


def test_an_output_without_device_says_so_and_opens_when_asked_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.unplug()
    with pytest.raises(AudioError, match="no audio device answers"):
        rig.output.open()
    assert not rig.output.alive()
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    if isinstance(rig.output, FakeMixer):
        rig.output.present = True
    rig.output.open()
    assert rig.output.alive()


@pytest.mark.parametrize("ending", FORMATS)
def test_a_track_tells_its_duration(rig: Rig, songs: dict[str, Path], ending: str) -> None:
    rig.output.open()
    # An mp3 encoder pads to whole frames of 26 ms, at both ends.
    assert rig.output.load(songs[ending]).duration_s == pytest.approx(8.0, abs=0.08)


@pytest.mark.parametrize("kind", ["missing", "empty", "garbage", "text", "no samples", "folder"])
def test_a_file_that_does_not_decode_is_an_audio_error(rig: Rig, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "song.ogg"
    if kind == "empty":
        path.touch()
    elif kind == "garbage":
        path.write_bytes(np.random.default_rng(1).bytes(20_000))
    elif kind == "text":
        path.write_text("this is not music\n" * 50)
    elif kind == "no samples":
        path = write(tmp_path / "song.wav", np.zeros(0))
    elif kind == "folder":
        path.mkdir()
    rig.output.open()
    with pytest.raises(AudioError) as caught:
        rig.output.load(path)
    assert str(path) in str(caught.value)


def test_after_a_crossfade_one_track_sounds_and_after_a_fade_none(rig: Rig, songs: dict[str, Path]) -> None:
    output = rig.output
    output.open()
    output.crossfade(output.load(songs["wav"]), start_s=0.0, end_s=8.0, fade_s=0.1, gain_db=0.0)
    rig.wait_for_sounding(1)
    output.crossfade(output.load(songs["flac"]), start_s=1.0, end_s=8.0, fade_s=0.1, gain_db=-3.0)
    assert rig.sounding() <= 2
    rig.wait_for_sounding(1)
    # Three in a row, faster than their fades.
    for start_s in (1.0, 2.0, 3.0):
        output.crossfade(output.load(songs["wav"]), start_s=start_s, end_s=8.0, fade_s=0.5, gain_db=0.0)
        assert 1 <= rig.sounding() <= 2
    rig.wait_for_sounding(1)
    output.fade_out(0.1)
    rig.wait_for_sounding(0)


def test_what_stood_paused_is_dropped_by_a_new_track_and_by_a_fade(rig: Rig, songs: dict[str, Path]) -> None:
    output = rig.output
    output.open()
    track = output.load(songs["wav"])
    output.crossfade(track, start_s=0.0, end_s=8.0, fade_s=0.1, gain_db=0.0)
    output.pause()
    output.pause()
    assert rig.sounding() == 1
    output.crossfade(track, start_s=1.0, end_s=8.0, fade_s=0.1, gain_db=0.0)
    assert rig.sounding() == 1
    output.pause()
    output.fade_out(5.0)
    assert rig.sounding() == 0
    output.resume()
    assert rig.sounding() == 0


def test_calls_are_harmless_when_nothing_sounds(rig: Rig) -> None:
    rig.output.open()
    rig.output.resume()
    rig.output.fade_out(1.0)
    rig.output.set_volume(0.3)
    rig.output.pause()
    rig.output.fade_out(1.0)
    rig.output.resume()
    assert rig.sounding() == 0
    assert rig.output.alive()


# The real one alone.


@pytest.mark.parametrize("ending", FORMATS)
def test_a_truncated_file_is_shorter_or_refused(
    songs: dict[str, Path], tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    whole = songs[ending].read_bytes()
    output = PygameMixer()
    output.open()
    try:
        for kept in (10, 60, 1000, len(whole) // 2, len(whole) - 10):
            path = tmp_path / f"cut-{kept}.{ending}"
            path.write_bytes(whole[:kept])
            try:
                duration_s = output.load(path).duration_s
            except AudioError:
                continue
            assert 0 < duration_s <= 8.1
    finally:
        output.close()


def test_the_rise_and_a_linear_fall_keep_the_power(monkeypatch: pytest.MonkeyPatch) -> None:
    frames = 2 * SAMPLE_RATE_HZ
    samples = np.full((3 * SAMPLE_RATE_HZ, 2), 32767, np.int16)
    shape_in_place(samples, fade_frames=frames, gain_db=0.0)
    rise = samples[:frames, 0] / (32767 * HEADROOM)
    fall = 1 - np.arange(frames) / frames
    assert rise**2 + fall**2 == pytest.approx(1.0, abs=1e-3)
    # Two tracks at full scale, in phase, at the worst instant of the fade.
    assert ((rise + fall) * HEADROOM).max() <= 1.0
    assert samples[-1, 0] == 0
    assert np.abs(np.diff(samples[frames:, 0].astype(int))).max() <= 32767 * HEADROOM / (0.05 * SAMPLE_RATE_HZ) + 1


@pytest.mark.parametrize("gain_db", [-60.0, -6.0, 0.0, 6.0, 60.0])
def test_a_gain_is_applied_but_never_beyond_full_scale(gain_db: float) -> None:
    samples = np.full((SAMPLE_RATE_HZ, 2), 8000, np.int16)
    samples[::2] *= -1
    shape_in_place(samples, fade_frames=100, gain_db=gain_db)
    expected = min(8000 * 10 ** (gain_db / 20), 32767) * HEADROOM
    assert np.abs(samples).max() == pytest.approx(expected, abs=1)
    assert np.abs(samples.astype(int)).max() <= np.ceil(32767 * HEADROOM)


def test_a_short_stretch_is_shaped_within_its_length() -> None:
    for frames in (0, 1, 10):
        samples = np.full((frames, 2), 1000, np.int16)
        shape_in_place(samples, fade_frames=SAMPLE_RATE_HZ, gain_db=0.0)
        assert (np.abs(samples) <= 1000).all()


def test_the_start_second_is_honoured_in_every_format(songs: dict[str, Path], tmp_path: Path) -> None:
    script = f"""
import time
from pathlib import Path
from emomusic_edge.runtime.audio.mixer import PygameMixer
output = PygameMixer()
for path in {[str(path) for path in songs.values()]}:
    output.open()
    track = output.load(Path(path))
    output.crossfade(track, start_s=5.0, end_s=5.6, fade_s=0.01, gain_db=0.0)
    time.sleep(0.8)
    output.close()
    Path(path + ".raw").write_bytes(Path({str(tmp_path / "heard.raw")!r}).read_bytes())
"""
    recording(script, tmp_path)
    for path in songs.values():
        heard = np.fromfile(f"{path}.raw", np.int16).reshape(-1, 2) / 32768
        sounds = np.flatnonzero(np.abs(heard[:, 0]) > 0.01)
        first, last = sounds[0], sounds[-1]
        assert (last - first) / SAMPLE_RATE_HZ == pytest.approx(0.6, abs=0.02), path
        # The middle of a 0.2-s stretch that begins 0.1 s after the first sound is the file's second 5.2.
        stretch = heard[first + SAMPLE_RATE_HZ // 10 : first + 3 * SAMPLE_RATE_HZ // 10, 0] * np.hanning(8820)
        spectrum = np.abs(np.fft.rfft(stretch, 1 << 18))
        pitch_hz = float(spectrum.argmax()) * SAMPLE_RATE_HZ / (1 << 18)
        assert (pitch_hz - 400) / CHIRP_HZ_PER_S == pytest.approx(5.2, abs=0.03), path


def test_pause_and_volume_move_without_a_click(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sine(200.0, 6.0))
    script = f"""
import time
from pathlib import Path
from emomusic_edge.runtime.audio.mixer import PygameMixer
output = PygameMixer()
output.open()
output.crossfade(output.load(Path({str(song)!r})), start_s=0.0, end_s=6.0, fade_s=0.2, gain_db=0.0)
time.sleep(0.8)
output.set_volume(0.25)
time.sleep(0.4)
output.pause()
time.sleep(0.3)
output.resume()
time.sleep(0.4)
output.close()
"""
    heard = recording(script, tmp_path)
    level = levels(heard) * np.sqrt(2) / HEADROOM / 0.99
    full, quarter = np.flatnonzero(level > 0.98), np.flatnonzero(np.abs(level - 0.25) < 0.01)
    assert len(full) >= 10
    assert len(quarter) >= 10
    silent = np.flatnonzero(level < 1e-3)
    paused = silent[(silent > quarter[0]) & (silent < quarter[-1])]
    assert len(paused) >= 5
    # Each change passes through levels in between, where a click would have one window at most.
    between = [
        level[full[-1] + 1 : quarter[0]],
        level[quarter[quarter < paused[0]][-1] + 1 : paused[0]],
        level[paused[-1] + 1 : quarter[quarter > paused[-1]][0]],
    ]
    assert [len(windows) >= 4 for windows in between] == [True] * 3, level
    assert (np.diff(between[0]) < 0.02).all()
    assert (np.diff(between[1]) < 0.02).all()
    assert (np.diff(between[2]) > -0.02).all()


def test_loss_of_the_device_is_seen(tmp_path: Path) -> None:
    """SDL goes on as if nothing were when its device is gone; here the pipe that its disk driver writes to breaks."""
    script = f"""
import os, threading, time
from emomusic_edge.runtime.audio.mixer import PygameMixer
os.mkfifo({str(tmp_path / "pipe")!r})
broken = threading.Event()
def listen():
    with open({str(tmp_path / "pipe")!r}, "rb", buffering=0) as pipe:
        while not broken.is_set():
            pipe.read(4096)
threading.Thread(target=listen).start()
output = PygameMixer()
output.open()
for _ in range(10):
    assert output.alive()
    time.sleep(0.02)
broken.set()
deadline = time.monotonic() + 20
while output.alive():
    assert time.monotonic() < deadline, "the loss was not seen"
    time.sleep(0.02)
output.close()
"""
    done = run(script, SDL_AUDIODRIVER="disk", SDL_DISKAUDIOFILE=str(tmp_path / "pipe"))
    assert done.returncode == 0, done.stderr


def test_a_device_that_stalls_is_seen(tmp_path: Path) -> None:
    script = f"""
import os, time
from emomusic_edge.runtime.audio.mixer import PygameMixer
os.mkfifo({str(tmp_path / "pipe")!r})
reader = os.open({str(tmp_path / "pipe")!r}, os.O_RDONLY | os.O_NONBLOCK)
output = PygameMixer()
output.open()
assert output.alive()
deadline = time.monotonic() + 20
while output.alive():
    assert time.monotonic() < deadline, "the stall was not seen"
    time.sleep(0.05)
os.close(reader)
output.close()
"""
    done = run(script, SDL_AUDIODRIVER="disk", SDL_DISKAUDIOFILE=str(tmp_path / "pipe"))
    assert done.returncode == 0, done.stderr


def test_sdl_leaves_sigterm_alone() -> None:
    script = """
import os, signal, time
from emomusic_edge.runtime.audio.mixer import PygameMixer
PygameMixer().open()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
"""
    done = run(script, SDL_AUDIODRIVER="dummy")
    assert done.returncode == -15, done.stderr


def test_a_missing_sound_card_leaves_stderr_alone(tmp_path: Path) -> None:
    (tmp_path / "asound.conf").touch()
    script = """
from emomusic_edge.runtime.audio.mixer import PygameMixer
from emomusic_edge.errors import AudioError
for _ in range(2):
    try:
        PygameMixer().open()
    except AudioError as error:
        print(error)
"""
    done = run(script, SDL_AUDIODRIVER="alsa", ALSA_CONFIG_PATH=str(tmp_path / "asound.conf"))
    assert done.stdout.count("no audio device answers") == 2
    assert done.stderr == ""


def test_pygame_is_not_loaded_before_a_device_is_asked_for() -> None:
    script = """
import sys
import emomusic_edge.runtime.audio.mixer, emomusic_edge.runtime.audio.player
emomusic_edge.runtime.audio.mixer.PygameMixer()
assert not any(name.split(".")[0] == "pygame" for name in sys.modules)
"""
    done = run(script)
    assert done.returncode == 0, done.stderr
