"""Every joint between songs, in hours of listening faster than real time: no gap over 20 ms, no step over 6 dB."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio_session import Session, largest_step_db, longest_gap_ms, steady_songs
from numpy.typing import NDArray
from scipy.signal import resample_poly
from sounds import write

from emomusic_edge.contracts import Segment
from emomusic_edge.deam_index.loudness import CEILING_DBTP, gain_db, measure
from emomusic_edge.runtime.audio.fades import FLOOR_DB, Glide
from emomusic_edge.runtime.audio.mix import HEADROOM, Mix
from emomusic_edge.runtime.audio.mixer import BLOCK_FRAMES, MARGIN_FRAMES
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import SKIP_FADE_S
from emomusic_edge.runtime.audio.resample import Resampler
from emomusic_edge.runtime.audio.song_stream import SongStream
from emomusic_edge.runtime.audio.voice import SongSource
from emomusic_edge.sound_file import SoundReader


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Segment]:
    return steady_songs(tmp_path_factory.mktemp("steady"))


@pytest.mark.parametrize("seconds", [300.0, pytest.param(7200.0, marks=pytest.mark.soak)])
def test_no_joint_is_a_gap_or_a_step(songs: list[Segment], seconds: float) -> None:
    session = Session(songs)
    session.run(seconds, seed=3)
    assert session.joints > seconds / 12
    assert session.file_ends > seconds / 100
    assert longest_gap_ms(session) <= 20.0
    assert largest_step_db(session) <= 6.0
    assert session.player.failures() == []


def _cut_hard(mix: Mix, source: SongSource, *, frames: int, gain_db: float, fade_frames: int, skipped: int = 0) -> Mix:
    """The old song is gone at once, the new one comes in by its fade."""
    mix = replace(mix, voices=())
    return _CROSSFADED(mix, source, frames=frames, gain_db=gain_db, fade_frames=fade_frames, skipped=skipped)


def _pause_hard(mix: Mix, paused: bool) -> Mix:
    level_db = FLOOR_DB if paused else mix.volume_db
    return replace(mix, paused=paused, master=Glide(level_db, level_db))


_CROSSFADED = Mix.crossfaded


@pytest.mark.parametrize(("name", "broken"), [("crossfaded", _cut_hard), ("with_pause", _pause_hard)])
def test_a_hard_cut_would_be_seen(
    songs: list[Segment], monkeypatch: pytest.MonkeyPatch, name: str, broken: object
) -> None:
    monkeypatch.setattr(Mix, name, broken)
    session = Session(songs)
    session.run(60.0, seed=3)
    assert largest_step_db(session) > 6.0


def test_a_gap_would_be_seen(songs: list[Segment]) -> None:
    session = Session(songs)
    session.player.play(songs[0], 0.0)
    session.settle()
    session.listen(30)
    session.silences_s.append((0.0, 0.5))
    assert longest_gap_ms(session) == 0.0
    session.levels[20][4:7] = 0.0
    assert longest_gap_ms(session) == 30.0
    session.player.close()


def _skip_frames(songs: list[Segment], first: int, second: int) -> int:
    """Frames from where the device stood at the command to the new song at half its amplitude."""
    session = Session(songs)
    session.player.play(replace(songs[first], gain_db=-120.0), 0.0)
    session.settle()
    session.listen(30)
    session.sink.wait_queued(round(0.2 * SAMPLE_RATE_HZ))
    session.player.play(replace(songs[second], start_s=5.0), session.now_s, at_once=True)
    session.settle()
    sound = session.sink.take(SAMPLE_RATE_HZ)[:, 0] / (32767 * HEADROOM * 0.1)
    session.player.close()
    power = np.convolve(sound**2, np.full(220, 1 / 220), mode="valid")
    return int(np.flatnonzero(power >= 0.25)[0]) + 220


def test_a_skip_is_heard_soon_after_the_command(songs: list[Segment]) -> None:
    """In samples, so without the time that opening the file takes; a quarter of a second is queued all the while."""
    for second in range(1, len(songs)):
        frames = _skip_frames(songs, 0, second)
        assert frames <= MARGIN_FRAMES + 2 * BLOCK_FRAMES + SKIP_FADE_S * SAMPLE_RATE_HZ / 2
        assert frames < 0.15 * SAMPLE_RATE_HZ


def test_a_song_near_its_end_hands_over_though_the_player_believes_it_longer(songs: list[Segment]) -> None:
    """The file is shorter than the index says by a second and a half: found out in time, and no gap."""
    session = Session(songs)
    short = replace(songs[0], song_end_s=60.0, start_s=20.0)
    session.player.play(short, 0.0)
    session.settle()
    while not session.player.status(session.now_s).ended:
        session.listen(1)
        assert session.now_s < 12.0
    session.player.play(songs[1], session.now_s)
    session.settle()
    session.listen(50)
    session.silences_s.append((0.0, 0.5))
    assert longest_gap_ms(session) <= 20.0
    assert largest_step_db(session) <= 6.0
    session.player.close()


@pytest.mark.parametrize("ticks", [1, 3, 10])
def test_pauses_do_not_part_the_sound_from_the_clock(songs: list[Segment], ticks: int) -> None:
    """Eight pauses, shorter and longer than their fade, then the song's end by the clock."""
    session = Session(songs)
    session.player.play(songs[5], 0.0)
    session.settle()
    session.silences_s.append((0.0, 0.5))
    session.listen(10)
    for _ in range(8):
        session.sink.wait_queued(round(0.2 * SAMPLE_RATE_HZ))
        session.pause(ticks)
        session.listen(12)
        assert session.lead_s() == pytest.approx(0.0, abs=0.1)
    while not session.player.status(session.now_s).ended:
        session.listen(1)
    session.player.play(songs[1], session.now_s)
    session.settle()
    session.listen(50)
    assert longest_gap_ms(session) <= 20.0
    assert largest_step_db(session) <= 6.0
    session.player.close()


def test_a_disk_that_sleeps_is_waited_for(songs: list[Segment], monkeypatch: pytest.MonkeyPatch) -> None:
    """The old song sounds on meanwhile, no call waits, and the clock begins with the sound."""
    turns = threading.Event()
    decode = SongStream._decode

    def decode_once_it_turns(stream: SongStream, file: SoundReader, resampler: Resampler | None) -> None:
        assert turns.wait(20.0)
        decode(stream, file, resampler)

    session = Session(songs)
    session.player.play(songs[5], 0.0)
    session.settle()
    session.silences_s.append((0.0, 0.5))
    session.listen(10)
    monkeypatch.setattr(SongStream, "_decode", decode_once_it_turns)
    session.player.play(songs[4], session.now_s)
    for _ in range(30):
        time.sleep(0.1)
        session.listen(1)
        # As the loop does, from which the player has its time.
        session.player.status(session.now_s)
        assert session.player.failures() == []
    turns.set()
    session.settle()
    session.listen(50)
    assert session.player.failures() == []
    assert session.player.status(session.now_s).segment == songs[4]
    assert session.lead_s() == pytest.approx(0.0, abs=0.3)
    assert longest_gap_ms(session) <= 20.0
    assert largest_step_db(session) <= 6.0
    session.player.close()


def test_a_song_that_is_late_ebbs_and_comes_back(songs: list[Segment], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is decoded for a second of the device's time: silence, but no step, no click and no lost sound."""
    flows = threading.Event()
    flows.set()
    append = SongStream._append

    def append_when_it_flows(stream: SongStream, samples: NDArray[np.float32]) -> None:
        assert flows.wait(20.0)
        append(stream, samples)

    monkeypatch.setattr(SongStream, "_append", append_when_it_flows)
    session = Session(songs, patience_s=0.0)
    session.player.play(songs[0], 0.0)
    session.settle()
    session.silences_s.append((0.0, 0.5))
    session.wait_decoded()
    for tick in range(90):
        if tick == 20:
            flows.clear()
        if tick == 20 + 40 + 10:
            flows.set()
            session.wait_decoded()
        session.sink.wait_queued(round(0.15 * SAMPLE_RATE_HZ))
        session.listen(1)
        if flows.is_set():
            session.wait_decoded()
    assert longest_gap_ms(session) > 200.0
    assert largest_step_db(session) <= 6.0
    session.player.close()


def test_one_gain_a_song_and_its_true_peak_stays_below_the_ceiling(songs: list[Segment], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    loud = write(tmp_path / "loud.wav", np.clip(0.5 * rng.standard_normal(10 * SAMPLE_RATE_HZ), -0.99, 0.99))
    # Quiet but for one stroke: its gain is held down by the peak.
    stroke = 0.01 * rng.standard_normal(10 * SAMPLE_RATE_HZ)
    stroke[5 * SAMPLE_RATE_HZ] = 0.9
    peaky = write(tmp_path / "peaky.wav", stroke)
    for path in (loud, peaky):
        found = measure(path)
        gain = gain_db(found.integrated_lufs, found.true_peak_dbtp)
        session = Session(songs)
        session.player.play(Segment("s", 0.0, 10.0, 0.0, 0.0, path, 10.0, gain_db=gain), 0.0)
        session.settle()
        heard = session.sink.take(9 * SAMPLE_RATE_HZ)[:, 0] / (32767 * HEADROOM)
        session.player.close()
        true_peak_dbtp = 20 * np.log10(np.abs(resample_poly(heard, 4, 1)).max())
        assert true_peak_dbtp <= CEILING_DBTP + 0.1, path
        whole, _ = soundfile.read(path)
        for part in np.split(np.arange(2 * SAMPLE_RATE_HZ, 4 * SAMPLE_RATE_HZ), 4):
            ratio = np.sqrt((heard[part] ** 2).mean()) / np.sqrt((whole[part, 0] ** 2).mean())
            assert 20 * np.log10(ratio) == pytest.approx(gain, abs=0.2)
