"""A song decoded ahead: the same samples as a whole decode, from any second, in little memory."""

from __future__ import annotations

import math
import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.signal import resample_poly
from sounds import FORMATS, MADE_OUTPUT, chirp, run, sine, write

from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.resample import Resampler
from emomusic_edge.runtime.audio.song_stream import AHEAD_S, BEHIND_S, SongStream, probe
from emomusic_edge.sound_file import open_sound


def opened(path: Path, start_s: float, end_s: float) -> SongStream:
    return SongStream(path, start_s=start_s, end_s=end_s, patience_s=20.0)


def all_of(stream: SongStream, block: int = 512) -> NDArray[np.float32]:
    parts, at = [], 0
    while len(part := stream.read(at, block)):
        parts.append(part)
        at += len(part)
    return np.concatenate(parts)


def wait_until_ended(stream: SongStream) -> None:
    deadline_s = time.monotonic() + 20
    while stream.end is None:
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("start_s", [0.0, 0.2, 2.345, 7.0])
def test_any_stretch_equals_that_of_a_whole_decode(tmp_path: Path, ending: str, start_s: float) -> None:
    # A chirp in mp3 leans on earlier frames, so that a careless seek is silent or wrong for a while.
    path = write(tmp_path / f"song.{ending}", chirp(9.0))
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    first = round(start_s * SAMPLE_RATE_HZ)
    stream = opened(path, start_s, 8.5)
    got = all_of(stream)
    stream.close()
    assert np.abs(got - whole[first : first + len(got)]).max() < 1e-4
    assert len(got) == round((8.5 - start_s) * SAMPLE_RATE_HZ)


@pytest.mark.parametrize("block", [100, 1152, 4096])
def test_blocks_of_an_mp3_are_those_of_a_whole_decode(tmp_path: Path, block: int) -> None:
    path = write(tmp_path / "song.mp3", chirp(4.0))
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    with open_sound(path) as file:
        parts = []
        while len(part := file.read(block, dtype="float32", always_2d=True)):
            parts.append(part)
    assert (np.concatenate(parts) == whole).all()


def test_what_was_read_may_be_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", chirp(30.0))
    whole, _ = soundfile.read(path, dtype="float32", always_2d=True)
    stream = opened(path, 0.0, 30.0)
    behind = round(BEHIND_S * SAMPLE_RATE_HZ)
    for at in range(behind, len(whole) - behind, SAMPLE_RATE_HZ // 3):
        stream.read(at, 512)
        assert (stream.read(at - behind + 512, 512) == whole[at - behind + 512 : at - behind + 1024]).all()
    stream.close()


@pytest.mark.parametrize(("rate_hz", "channels"), [(48_000, 2), (22_050, 1), (44_100, 1), (96_000, 2), (48_000, 6)])
def test_other_rates_and_channels_become_stereo_at_ours(tmp_path: Path, rate_hz: int, channels: int) -> None:
    seconds = 3.0
    mono = 0.4 * np.sin(2 * np.pi * 1000.0 * np.arange(int(seconds * rate_hz)) / rate_hz)
    path = tmp_path / "song.wav"
    soundfile.write(path, np.repeat(mono[:, None], channels, axis=1), rate_hz, subtype="FLOAT")
    stream = opened(path, 1.0, seconds)
    got = all_of(stream)
    stream.close()
    assert len(got) == 2 * SAMPLE_RATE_HZ
    assert stream.early_end is None
    if rate_hz == SAMPLE_RATE_HZ:
        oracle = mono[rate_hz:]
    else:
        oracle = resample_poly(mono[rate_hz:], SAMPLE_RATE_HZ // 50, rate_hz // 50)
    middle = slice(2000, len(got) - 2000)
    for side in (0, 1):
        assert np.abs(got[middle, side] - oracle[middle]).max() < 2e-3


@pytest.mark.parametrize("rate_hz", [8_000, 48_000, 96_000, 44_099])
@given(cuts=st.lists(st.integers(0, 5000), max_size=6))
@settings(max_examples=15, deadline=None)
def test_resampling_does_not_depend_on_the_cuts(rate_hz: int, cuts: list[int]) -> None:
    song = np.random.default_rng(0).standard_normal((5000, 2)).astype(np.float32)
    whole = Resampler(rate_hz).convert(song, last=True)
    assert len(whole) == math.ceil(5000 * SAMPLE_RATE_HZ / rate_hz)
    resampler = Resampler(rate_hz)
    edges = [0, *sorted(cuts), 5000]
    parts = [
        resampler.convert(song[a:b], last=b == 5000 and i == len(edges) - 2) for i, (a, b) in enumerate(pairwise(edges))
    ]
    assert np.concatenate(parts) == pytest.approx(whole, abs=1e-5)


def test_what_cannot_be_told_at_the_lower_rate_is_gone() -> None:
    t = np.arange(96_000) / 96_000
    for pitch_hz, kept in ((1_000.0, 1.0), (17_000.0, 1.0), (26_000.0, 0.0), (40_000.0, 0.0)):
        tone = np.repeat(np.sin(2 * np.pi * pitch_hz * t)[:, None], 2, axis=1).astype(np.float32)
        got = Resampler(96_000).convert(tone, last=True)[2000:-2000, 0]
        assert np.sqrt(2) * np.sqrt((got**2).mean()) == pytest.approx(kept, abs=2e-3)


def test_numbers_that_are_none_do_not_reach_the_device(tmp_path: Path) -> None:
    mono = sine(440.0, 2.0)
    mono[1000], mono[2000], mono[3000] = np.nan, np.inf, -np.inf
    path = tmp_path / "song.wav"
    soundfile.write(path, np.column_stack([mono, mono]), SAMPLE_RATE_HZ, subtype="FLOAT")
    stream = opened(path, 0.0, 2.0)
    got = all_of(stream)
    stream.close()
    assert np.isfinite(got).all()
    assert np.abs(got).max() <= 1.0


def test_a_file_cut_short_ends_early_without_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "song.mp3", chirp(8.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    assert probe(path) == pytest.approx(8.0, abs=0.1)
    stream = opened(path, 3.0, 8.0)
    wait_until_ended(stream)
    early = stream.early_end
    assert early is not None
    assert early.damage == ""
    assert 4.0 < early.at_s < 7.0
    assert len(all_of(stream)) == pytest.approx((early.at_s - 3.0) * SAMPLE_RATE_HZ, abs=1)


def test_damage_in_the_middle_is_told_with_its_place(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    path = write(tmp_path / "song.mp3", 0.3 * rng.standard_normal(20 * SAMPLE_RATE_HZ))
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 20_000] = rng.bytes(20_000)
    path.write_bytes(data)
    stream = opened(path, 8.0, 20.0)
    wait_until_ended(stream)
    assert stream.early_end is not None
    assert str(path) in stream.early_end.damage
    assert 8.0 < stream.early_end.at_s < 12.0


def test_it_decodes_a_few_seconds_ahead_and_no_further(tmp_path: Path) -> None:
    path = write(tmp_path / "song.wav", chirp(60.0))
    stream = opened(path, 0.0, 60.0)
    ahead = round(AHEAD_S * SAMPLE_RATE_HZ)
    stream.wait_filled(ahead - 3 * 4096, 20.0)
    time.sleep(0.1)
    assert ahead - 3 * 4096 <= stream._decoded <= ahead + 2 * 4096
    stream.close()


def test_a_closed_stream_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a-song-of-its-own.wav", chirp(30.0))
    streams = [opened(path, 0.0, 30.0) for _ in range(5)]
    for stream in streams:
        stream.close()
    deadline_s = time.monotonic() + 20
    while any("a-song-of-its-own" in thread.name for thread in threading.enumerate()):
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    held = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
    assert path not in held


def test_nine_channels_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "song.wav"
    soundfile.write(path, np.zeros((1000, 9)), SAMPLE_RATE_HZ)
    with pytest.raises(AudioError, match="9 channels"):
        probe(path)


@pytest.mark.parametrize("ending", ["wav", "ogg", pytest.param("mp3", marks=pytest.mark.slow)])
def test_ten_minutes_cost_less_than_30_mb(tmp_path: Path, ending: str) -> None:
    """What playing adds to a process that has all loaded: from the middle of the file, then a crossfade."""
    path = tmp_path / f"long.{ending}"
    second = 0.3 * np.random.default_rng(1).standard_normal((SAMPLE_RATE_HZ, 2)).astype(np.float32)
    with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 2, format=FORMATS[ending]) as out:
        for _ in range(600):
            out.write(second)
    short = write(tmp_path / f"short.{ending}", sine(440.0, 2.0))
    script = f"""
import time
from pathlib import Path
{MADE_OUTPUT}
def resident_mb():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
output.open()
output.crossfade(output.load(Path({str(short)!r})), start_s=0.0, end_s=2.0, fade_s=0.1, gain_db=0.0)
time.sleep(0.5)
before = resident_mb()
for start_s in (300.0, 20.0):
    track = output.load(Path({str(path)!r}))
    assert track.duration_s > 599
    output.crossfade(track, start_s=start_s, end_s=track.duration_s, fade_s=0.3, gain_db=0.0)
    time.sleep(1.0)
print(before, resident_mb() - before)
output.close()
"""
    done = run(script, SDL_AUDIODRIVER="dummy")
    assert done.returncode == 0, done.stderr
    _, cost_mb = map(float, done.stdout.split())
    assert cost_mb < 30.0
