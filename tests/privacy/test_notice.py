"""The notice that is played: once, before the first song, at the player's volume, anew where a pause cut it off."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from offline_sink import OfflineSink

from emomusic_edge.config import load_config
from emomusic_edge.config.settings import Settings
from emomusic_edge.errors import ConfigError
from emomusic_edge.runtime.app.sound import player_of
from emomusic_edge.runtime.audio.mix import HEADROOM
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ
from emomusic_edge.runtime.privacy.notice import NOTICE, NoticeFirst

NOTICE_S, SONG_S, FADE_S = 2.0, 20.0, 0.15
TAKE = 441


class Room:
    """The notice over a mixer over a device, whose clock is what the device has taken."""

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(11)
        self.notice, self.song = folder / "notice.wav", folder / "song.wav"
        for path, seconds in ((self.notice, NOTICE_S), (self.song, SONG_S)):
            sound = 0.2 * rng.standard_normal((round(seconds * SAMPLE_RATE_HZ), 1))
            soundfile.write(path, sound, SAMPLE_RATE_HZ, "FLOAT")
        self.sink = OfflineSink()
        self.taken = 0
        self._heard: list[NDArray[np.int16]] = []
        self.mixer = StreamMixer(self.sink, patience_s=20.0, clock=self.now_s)
        self.output = NoticeFirst(self.mixer, self.notice, clock=self.now_s)

    def now_s(self) -> float:
        return self.taken / SAMPLE_RATE_HZ

    def listen(self, seconds: float) -> None:
        end = self.taken + round(seconds * SAMPLE_RATE_HZ)
        while self.taken < end:
            self.sink.wait_queued(TAKE)
            with self.mixer._lock:
                self._heard.append(self.sink.take(TAKE))
                self.taken += TAKE

    def play(self, start_s: float) -> None:
        track = self.output.load(self.song)
        self.output.crossfade(track, start_s=start_s, end_s=SONG_S, fade_s=FADE_S, gain_db=0.0)

    def place(self, path: Path, at_s: float) -> float | None:
        """Where in a file is what sounds in the half second from at_s on; None where it is not that file."""
        first = round(at_s * SAMPLE_RATE_HZ)
        heard = np.concatenate(self._heard)[first : first + SAMPLE_RATE_HZ // 2, 0] / (32767.0 * HEADROOM)
        samples, _ = soundfile.read(path)
        size = len(samples) + len(heard)
        overlap = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(heard, size)), size)
        place = int(np.argmax(overlap))
        there = samples[place : place + len(heard)]
        if len(there) < len(heard) or not heard.any() or np.corrcoef(heard, there)[0, 1] < 0.99:
            return None
        return place / SAMPLE_RATE_HZ


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    made = Room(tmp_path)
    made.output.open()
    yield made
    made.output.close()


def test_it_comes_before_the_first_song_which_then_is_where_the_player_reckons(room: Room) -> None:
    room.output.set_volume(1.0)
    room.play(5.0)
    room.listen(5.0)
    assert room.place(room.notice, 1.0) == pytest.approx(1.0, abs=0.05)
    assert room.place(room.song, 3.0) == pytest.approx(8.0, abs=0.05)


def test_it_is_played_once_also_where_the_device_was_lost(room: Room) -> None:
    room.output.set_volume(1.0)
    room.listen(3.0)
    room.output.open()
    room.output.set_volume(1.0)
    room.play(5.0)
    room.listen(2.0)
    assert room.place(room.song, 4.0) is not None


def test_it_waits_for_the_volume(room: Room) -> None:
    room.listen(0.5)
    room.output.set_volume(0.0)
    room.listen(1.0)
    room.output.set_volume(1.0)
    room.listen(0.5)
    assert room.place(room.notice, 0.0) is None
    assert room.place(room.notice, 0.8) is None


def test_a_start_in_a_pause_is_told_of_when_the_pause_ends(room: Room) -> None:
    room.output.set_volume(1.0)
    room.output.pause()
    room.listen(3.0)
    assert room.place(room.notice, 1.0) is None
    room.play(5.0)
    room.listen(5.0)
    assert room.place(room.notice, 4.0) == pytest.approx(1.0, abs=0.05)
    assert room.place(room.song, 6.0) == pytest.approx(8.0, abs=0.05)


def test_a_pause_that_cuts_it_off_has_it_begin_anew_and_the_song_wait(room: Room) -> None:
    room.output.set_volume(1.0)
    room.play(5.0)
    room.listen(1.0)
    room.output.pause()
    room.listen(1.0)
    room.output.resume()
    room.listen(5.0)
    assert room.place(room.notice, 2.7) == pytest.approx(0.7, abs=0.05)
    # One second of it had passed before the pause.
    assert room.place(room.song, 5.0) == pytest.approx(9.0, abs=0.05)


def test_a_pause_after_it_is_any_pause(room: Room) -> None:
    room.output.set_volume(1.0)
    room.play(5.0)
    room.listen(3.0)
    room.output.pause()
    room.listen(1.0)
    room.output.resume()
    room.listen(2.0)
    assert room.place(room.song, 5.0) == pytest.approx(9.0, abs=0.1)


def test_one_that_does_not_play_is_told_and_the_music_begins(room: Room, caplog: pytest.LogCaptureFixture) -> None:
    room.notice.write_bytes(b"no sound")
    with caplog.at_level(logging.WARNING):
        room.output.set_volume(1.0)
    room.play(5.0)
    room.listen(2.0)
    assert "the notice cannot be played" in caplog.text
    assert room.place(room.song, 1.0) == pytest.approx(6.0, abs=0.05)


def test_the_words_are_modest_and_shown_unless_switched_off() -> None:
    assert "estimates" in NOTICE
    assert Settings().privacy.notice == "screen"
    assert Settings().privacy.history_h == 0


@pytest.mark.parametrize("value", ["", "loud", "notice.wav"])
def test_a_notice_is_a_word_or_a_path(value: str) -> None:
    with pytest.raises(ConfigError, match=r"privacy\.notice.*screen, off, or a sound file's path"):
        load_config(None, {"privacy.notice": value})


def test_a_sound_that_is_not_there_is_told_before_anything_starts(tmp_path: Path) -> None:
    settings = load_config(None, {"privacy.notice": str(tmp_path / "nothing.wav")})
    with pytest.raises(ConfigError, match=r"privacy\.notice.*nothing\.wav") as raised:
        player_of(settings, muted=False, announces=True)
    assert "screen" in raised.value.mend
    # A file that is played is no camera, and muted it would not be heard.
    player_of(settings, muted=False)
    player_of(settings, muted=True, announces=True)
