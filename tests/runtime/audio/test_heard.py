"""What leaves SDL, read from its disk driver, and how SDL behaves as a guest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sounds import CHIRP_HZ_PER_S, FORMATS, MADE_OUTPUT, chirp, judged, levels, recording, run, sine, write

from emomusic_edge.runtime.audio.mix import HEADROOM
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ


def test_the_start_second_is_honoured_in_every_format(tmp_path: Path) -> None:
    songs = [write(tmp_path / f"song.{ending}", chirp(8.0)) for ending in FORMATS]
    script = f"""
import time
from pathlib import Path
{MADE_OUTPUT}
for path in {[str(path) for path in songs]}:
    output.open()
    track = output.load(Path(path))
    output.crossfade(track, start_s=5.0, end_s=6.2, fade_s=0.01, gain_db=0.0)
    # Until it is mixed to its end, and what is mixed ahead has sounded: a busy machine plays slower.
    while output.mix.voices:
        time.sleep(0.02)
    time.sleep(0.5)
    output.close()
    Path(path + ".raw").write_bytes(Path({str(tmp_path / "heard.raw")!r}).read_bytes())
"""

    def judge(_: NDArray[np.float64]) -> None:
        for path in songs:
            heard = np.fromfile(f"{path}.raw", np.int16).reshape(-1, 2) / 32768
            sounds = np.flatnonzero(np.abs(heard[:, 0]) > 1e-3)
            first, last = sounds[0], sounds[-1]
            assert (last - first) / SAMPLE_RATE_HZ == pytest.approx(1.2, abs=0.05), path
            # The middle of a 0.2-s stretch that begins 0.5 s after the first sound is the file's second 5.6.
            stretch = heard[first + SAMPLE_RATE_HZ // 2 : first + 7 * SAMPLE_RATE_HZ // 10, 0] * np.hanning(8820)
            spectrum = np.abs(np.fft.rfft(stretch, 1 << 18))
            pitch_hz = float(spectrum.argmax()) * SAMPLE_RATE_HZ / (1 << 18)
            assert (pitch_hz - 400) / CHIRP_HZ_PER_S == pytest.approx(5.6, abs=0.03), path

    judged(script, tmp_path, judge)


def test_pause_and_volume_move_without_a_click(tmp_path: Path) -> None:
    song = write(tmp_path / "song.wav", sine(200.0, 8.0))
    script = f"""
import time
from pathlib import Path
{MADE_OUTPUT}
output.open()
output.crossfade(output.load(Path({str(song)!r})), start_s=0.0, end_s=8.0, fade_s=0.2, gain_db=0.0)
for then in (lambda: output.set_volume(0.25), output.pause, output.resume, output.close):
    time.sleep(1.0)
    then()
"""
    heard = recording(script, tmp_path)
    level = levels(heard) * np.sqrt(2) / HEADROOM / 0.99
    full, quarter = np.flatnonzero(level > 0.98), np.flatnonzero(np.abs(level - 0.25) < 0.01)
    quarter = quarter[quarter > full[-1]]
    assert len(full) >= 10
    assert len(quarter) >= 10
    silent = np.flatnonzero(level < 1e-3)
    paused = silent[(silent > quarter[0]) & (silent < quarter[-1])]
    assert len(paused) >= 5
    # Ramps end at -50 dB, a step to silence that none hears and that falls anywhere within a window.
    steps_db = np.abs(np.diff(20 * np.log10(np.maximum(level, 0.005))))
    assert steps_db.max() < 6.0
    # A volume of 0.25 is 12 dB: at 2.8 dB in 20 ms there are windows in between.
    assert len(level[full[-1] + 1 : quarter[0]]) >= 3


def test_sound_goes_on_while_the_interpreter_stands_still(tmp_path: Path) -> None:
    """Another thread holds the interpreter lock for 0.15 s at a time, ten times, in the middle of a song."""
    song = write(tmp_path / "song.wav", sine(200.0, 8.0))
    script = f"""
import ctypes, time
from pathlib import Path
{MADE_OUTPUT}
output.open()
output.crossfade(output.load(Path({str(song)!r})), start_s=0.0, end_s=8.0, fade_s=0.2, gain_db=0.0)
time.sleep(1.0)
for _ in range(10):
    ctypes.PyDLL(None).usleep(150_000)
    time.sleep(0.1)
output.close()
"""

    def judge(heard: NDArray[np.float64]) -> None:
        level = levels(heard) * np.sqrt(2) / HEADROOM / 0.99
        full = np.flatnonzero(level > 0.9)
        assert len(full) > 2.0 * 50
        assert (level[full[0] : full[-1]] > 0.9).all()

    judged(script, tmp_path, judge)


def test_loss_of_the_device_is_seen(tmp_path: Path) -> None:
    """SDL goes on as if nothing were when its device is gone; here the pipe that its disk driver writes to breaks."""
    script = f"""
import os, threading, time
{MADE_OUTPUT}
os.mkfifo({str(tmp_path / "pipe")!r})
broken = threading.Event()
def listen():
    with open({str(tmp_path / "pipe")!r}, "rb", buffering=0) as pipe:
        while not broken.is_set():
            pipe.read(4096)
threading.Thread(target=listen).start()
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
{MADE_OUTPUT}
os.mkfifo({str(tmp_path / "pipe")!r})
reader = os.open({str(tmp_path / "pipe")!r}, os.O_RDONLY | os.O_NONBLOCK)
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
    script = f"""
import os, signal, time
{MADE_OUTPUT}
output.open()
os.kill(os.getpid(), signal.SIGTERM)
time.sleep(5)
"""
    done = run(script, SDL_AUDIODRIVER="dummy")
    assert done.returncode == -15, done.stderr


def test_a_missing_sound_card_leaves_stderr_alone(tmp_path: Path) -> None:
    (tmp_path / "asound.conf").touch()
    script = f"""
from emomusic_edge.errors import AudioError
{MADE_OUTPUT}
for _ in range(2):
    try:
        output.open()
    except AudioError as error:
        print(error)
"""
    done = run(script, SDL_AUDIODRIVER="alsa", ALSA_CONFIG_PATH=str(tmp_path / "asound.conf"))
    assert done.stdout.count("no audio device answers") == 2
    assert done.stderr == ""


def test_pygame_is_not_loaded_before_a_device_is_asked_for() -> None:
    script = f"""
import sys
import emomusic_edge.runtime.audio.player
{MADE_OUTPUT}
assert not any(name.split(".")[0] == "pygame" for name in sys.modules)
"""
    done = run(script)
    assert done.returncode == 0, done.stderr
