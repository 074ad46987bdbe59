"""Songs with an appointed time: which frame of the song sounds at which frame of the device, to the frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from offline_sink import OfflineSink

from emomusic_edge.contracts import Segment
from emomusic_edge.runtime.audio.mix import HEADROOM
from emomusic_edge.runtime.audio.mixer import AHEAD_FRAMES, BLOCK_FRAMES, StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.audio.player import MusicPlayer

SECONDS = 12.0
TAKE = 441
FADE_S = 0.15


class Device:
    """A mixer and its device, whose clock is what the device has taken."""

    def __init__(self) -> None:
        self.sink = OfflineSink()
        self.heard: list[NDArray[np.int16]] = []
        self.taken = 0
        self.mixer = StreamMixer(self.sink, patience_s=20.0, clock=lambda: self.taken / SAMPLE_RATE_HZ)
        self.mixer.open()

    def listen(self, to_s: float) -> None:
        while self.taken < round(to_s * SAMPLE_RATE_HZ):
            self.sink.wait_queued(TAKE)
            # The mixer must not ask for the time between the taking and the counting.
            with self.mixer._lock:
                self.heard.append(self.sink.take(TAKE))
                self.taken += TAKE

    def play(self, path: Path, start_s: float, at_s: float | None, end_s: float = SECONDS) -> None:
        track = self.mixer.load(path)
        self.mixer.crossfade(track, start_s=start_s, end_s=end_s, fade_s=FADE_S, gain_db=0.0, at_s=at_s)

    def sound(self) -> NDArray[np.float64]:
        return np.concatenate(self.heard)[:, 0] / (32767.0 * HEADROOM)


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.mixer.close()


@pytest.fixture(scope="module")
def songs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder, rng = tmp_path_factory.mktemp("songs"), np.random.default_rng(3)
    paths = [folder / "a.wav", folder / "b.wav"]
    for path in paths:
        soundfile.write(path, 0.2 * rng.standard_normal((round(SECONDS * SAMPLE_RATE_HZ), 1)), SAMPLE_RATE_HZ, "FLOAT")
    return paths


def is_in_step(device: Device, song: Path, start_s: float, at_s: float, *, past_s: float = 0.6) -> bool:
    """Whether start_s sounds at at_s, told from the second that begins `past_s` later (the fade is over then)."""
    first = round((at_s + past_s) * SAMPLE_RATE_HZ)
    heard = device.sound()[first : first + SAMPLE_RATE_HZ]
    samples, _ = soundfile.read(song)
    there = round((start_s + past_s) * SAMPLE_RATE_HZ)
    return len(heard) == SAMPLE_RATE_HZ and bool(np.abs(heard - samples[there : there + SAMPLE_RATE_HZ]).max() < 1e-3)


@pytest.mark.parametrize("at_s", [0.1, 0.201, 0.2503, 0.7777, 1.5])
def test_a_song_sounds_at_its_time_to_the_frame(device: Device, songs: list[Path], at_s: float) -> None:
    device.play(songs[0], 2.0, at_s)
    device.listen(at_s + 2.0)
    assert is_in_step(device, songs[0], 2.0, at_s)
    sounding = np.flatnonzero(device.sound())[0] / SAMPLE_RATE_HZ
    assert at_s <= sounding <= at_s + 2 * BLOCK_FRAMES / SAMPLE_RATE_HZ


def test_after_another_song_it_comes_in_by_the_fade(device: Device, songs: list[Path]) -> None:
    device.play(songs[0], 0.0, None)
    device.listen(1.0)
    device.play(songs[1], 3.0, 2.0)
    device.listen(4.0)
    assert is_in_step(device, songs[1], 3.0, 2.0)


def test_one_whose_time_is_over_comes_in_where_it_would_be_by_now(device: Device, songs: list[Path]) -> None:
    device.listen(5.0)
    device.play(songs[0], 1.0, 2.5)
    device.listen(7.0)
    assert is_in_step(device, songs[0], 1.0, 2.5, past_s=3.2)


def test_one_that_is_over_by_now_stays_out(device: Device, songs: list[Path]) -> None:
    device.listen(5.0)
    device.play(songs[0], 1.0, 1.0, end_s=4.0)
    device.listen(6.0)
    assert not device.sound().any()


def test_a_volume_set_while_its_start_is_queued_already_does_not_lose_it(device: Device, songs: list[Path]) -> None:
    device.play(songs[0], 2.0, 1.0)
    for step in range(40):
        device.listen(0.6 + 0.02 * step)
        device.mixer.set_volume(0.5 if step < 39 else 1.0)
    device.listen(3.0)
    assert is_in_step(device, songs[0], 2.0, 1.0, past_s=0.9)


@pytest.mark.parametrize("pause_at_s", [0.5, 0.9, 0.97])
def test_a_pause_before_its_time_keeps_it_until_the_resume(
    device: Device, songs: list[Path], pause_at_s: float
) -> None:
    device.play(songs[1], 0.0, None)
    device.listen(0.4)
    device.play(songs[0], 2.0, 1.0)
    device.listen(pause_at_s)
    device.mixer.pause()
    device.listen(2.0)
    assert not device.sound()[round(1.5 * SAMPLE_RATE_HZ) :].any()
    device.mixer.resume()
    device.listen(5.0)
    samples, _ = soundfile.read(songs[0])
    heard = device.sound()[round(3.0 * SAMPLE_RATE_HZ) :][:SAMPLE_RATE_HZ]
    # It began with the resume, so near the second 2 of the song that one second of listening lies within these two.
    lags = np.correlate(samples[round(2.5 * SAMPLE_RATE_HZ) : round(4.5 * SAMPLE_RATE_HZ)], heard[:4410], "valid")
    began_s = 3.0 - (2.5 + int(lags.argmax()) / SAMPLE_RATE_HZ - 2.0)
    assert 2.0 <= began_s <= 2.0 + (AHEAD_FRAMES + BLOCK_FRAMES) / SAMPLE_RATE_HZ


@pytest.mark.parametrize("instead", ["another", "silence"])
def test_the_newest_wish_takes_the_place_of_one_that_waits(device: Device, songs: list[Path], instead: str) -> None:
    device.play(songs[0], 2.0, 1.0)
    device.listen(0.9)
    if instead == "another":
        device.play(songs[1], 4.0, 1.2)
    else:
        device.mixer.fade_out(0.1)
    device.listen(4.0)
    assert not is_in_step(device, songs[0], 2.0, 1.0)
    if instead == "another":
        assert is_in_step(device, songs[1], 4.0, 1.2)
    else:
        assert not device.sound().any()


def test_the_player_counts_from_the_appointed_time(songs: list[Path]) -> None:
    player = MusicPlayer(None)
    segment = Segment("a", 2.0, 5.0, 0.0, 0.0, songs[0], SECONDS)
    player.play(segment, 100.0, at_s=101.0)
    assert [player.status(now_s).position_s for now_s in (100.0, 101.0, 103.0)] == [2.0, 2.0, 4.0]
    player.play(segment, 110.0, at_s=107.0)
    assert player.status(110.0).position_s == 5.0


def test_a_pause_ends_the_appointment(songs: list[Path]) -> None:
    player = MusicPlayer(None)
    segment = Segment("a", 2.0, 5.0, 0.0, 0.0, songs[0], SECONDS)
    player.play(segment, 100.0, at_s=101.0)
    player.pause(100.5)
    player.resume(105.0)
    assert player.status(106.0).position_s == 3.0
    player.pause(106.0)
    player.play(segment, 107.0, at_s=107.5)
    player.resume(110.0)
    assert player.status(111.0).position_s == 3.0


def test_the_player_hands_the_time_to_the_device(device: Device, songs: list[Path]) -> None:
    device.mixer.close()
    player = MusicPlayer(device.mixer)
    player.start()
    player.play(Segment("a", 2.0, 5.0, 0.0, 0.0, songs[0], SECONDS), 0.0, at_s=1.0)
    worker = player._device
    assert worker is not None
    while worker._pending():
        pass
    device.listen(3.0)
    player.close()
    assert is_in_step(device, songs[0], 2.0, 1.0)
