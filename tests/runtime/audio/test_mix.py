"""The mixing desk: what fades, pauses and volumes do to steady songs, sample for sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emomusic_edge.runtime.audio.fades import FLOOR_DB, GLIDE_DB_PER_S, HUSH_FRAMES
from emomusic_edge.runtime.audio.mix import HEADROOM, Mix, to_int16
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ

BLOCK = 512
SECOND = SAMPLE_RATE_HZ
WINDOW_20_MS = SECOND // 50


@dataclass(eq=False)
class Steady:
    """A song of one number, on its own channel, so that a test reads its gain off the output."""

    channel: int
    length: int = 3600 * SECOND
    stated_end: int | None = None
    decoded: int = 3600 * SECOND

    @property
    def end(self) -> int | None:
        return self.stated_end

    def ready(self, at: int, frames: int) -> int:
        return max(0, min(frames, self.length - at, self.decoded - at))

    def read(self, at: int, frames: int) -> NDArray[np.float32]:
        out = np.zeros((self.ready(at, frames), 2), np.float32)
        out[:, self.channel] = 1.0
        return out


@dataclass(eq=False)
class Noise:
    """A steady song that is like no other."""

    seed: int

    def __post_init__(self) -> None:
        noise = 0.1 * np.random.default_rng(self.seed).standard_normal((SECOND, 1))
        self.tile = np.repeat(noise, 2, axis=1).astype(np.float32)

    @property
    def end(self) -> int | None:
        return None

    def ready(self, at: int, frames: int) -> int:
        return frames

    def read(self, at: int, frames: int) -> NDArray[np.float32]:
        """The same frames whenever they are asked for."""
        return self.tile[np.arange(at, at + frames) % SECOND]


def played(mix: Mix, frames: int) -> tuple[Mix, NDArray[np.float32]]:
    parts = []
    for _ in range(-(-frames // BLOCK)):
        mix, sound = mix.render(BLOCK)
        parts.append(sound)
    return mix, np.concatenate(parts)


def begun(channel: int = 0, length: int = 3600 * SECOND, gain_db: float = 0.0) -> Mix:
    """A song in full sound."""
    mix = Mix.silent(1.0).crossfaded(Steady(channel), frames=length, gain_db=gain_db, fade_frames=SECOND)
    return played(mix, SECOND)[0]


@pytest.mark.parametrize("fade_s", [0.15, 2.0, 7.3])
def test_the_powers_of_a_crossfade_add_up_to_one(fade_s: float) -> None:
    fade = round(fade_s * SECOND)
    mix = begun(0).crossfaded(Steady(1), frames=3600 * SECOND, gain_db=0.0, fade_frames=fade)
    mix, sound = played(mix, fade + BLOCK)
    old, new = sound[:, 0], sound[:, 1]
    assert old**2 + new**2 == pytest.approx(1.0, abs=1e-4)
    # Another way to the same curve.
    assert new[:fade] == pytest.approx(np.sqrt((1 - np.cos(np.pi * np.arange(fade) / fade)) / 2), abs=1e-3)
    assert (np.diff(new) > -1e-6).all()
    assert len(mix.voices) == 1
    # The worst meeting of two full-scale songs in phase is within full scale.
    assert (old + new).max() * HEADROOM <= 1.0 + 1e-6


def test_a_crossfade_is_as_long_as_the_old_song_lasts() -> None:
    mix = begun(0, length=2 * SECOND)
    left = mix.voices[0].left
    assert HUSH_FRAMES < left <= SECOND
    _, sound = played(
        mix.crossfaded(Steady(1), frames=10 * SECOND, gain_db=0.0, fade_frames=5 * SECOND), SECOND + BLOCK
    )
    assert (sound**2).sum(axis=1) == pytest.approx(1.0, abs=1e-4)


def test_a_song_ends_without_a_click_wherever_its_file_does() -> None:
    for mix in (begun(0, length=2 * SECOND), begun(0)):
        source = mix.voices[0].source
        assert isinstance(source, Steady)
        if mix.voices[0].left > 2 * SECOND:
            # A damaged file: its end becomes known while it plays.
            source.stated_end = mix.voices[0].at + SECOND
        after, sound = played(mix, 2 * SECOND)
        assert after.voices == ()
        level = sound[:, 0]
        assert level[0] == 1.0
        # The last step is the one from the floor to nothing.
        assert np.abs(np.diff(level)).max() < 1.01 * 10 ** (FLOOR_DB / 20)
        assert (level > 0).sum() == pytest.approx(SECOND, abs=BLOCK)


def test_a_pause_stands_still_and_goes_on_where_it_was() -> None:
    mix = begun(0)
    before = mix.voices[0].at
    mix, sound = played(mix.with_pause(True), SECOND)
    assert mix.still
    assert 0 < (sound[:, 0] > 0).sum() <= HUSH_FRAMES + BLOCK
    assert mix.voices[0].at == before
    at = mix.voices[0].at
    mix, silence = played(mix, 10 * SECOND)
    assert not silence.any()
    assert mix.voices[0].at == at
    mix, back = played(mix.with_pause(False), SECOND)
    assert back[-1, 0] == 1.0
    assert mix.voices[0].at - at == SECOND // BLOCK * BLOCK + BLOCK
    for moved in (sound[:, 0], back[:, 0]):
        steps_db = np.abs(np.diff(20 * np.log10(moved[moved > 0])))
        assert steps_db.max() * SECOND <= GLIDE_DB_PER_S * 1.05


def test_volume_moves_evenly_in_decibels_and_silence_is_silent() -> None:
    mix, down = played(begun(0).at_volume(0.1), SECOND)
    assert down[-1, 0] == pytest.approx(0.1, rel=1e-4)
    assert (np.diff(down[:, 0]) <= 1e-6).all()
    mix, gone = played(mix.at_volume(0.0), SECOND)
    assert gone[-1, 0] == 0.0
    assert mix.voices, "the song goes on unheard"
    _, up = played(mix.at_volume(1.0), SECOND)
    assert up[-1, 0] == 1.0


def test_what_is_wanted_while_paused_shows_at_its_end() -> None:
    mix, _ = played(begun(0).with_pause(True).at_volume(0.5), SECOND)
    assert mix.still
    mix, sound = played(mix.with_pause(False), SECOND)
    assert sound[-1, 0] == pytest.approx(0.5, rel=1e-4)


def test_a_song_that_starves_waits_and_goes_on() -> None:
    source = Steady(0, decoded=2 * SECOND)
    mix = Mix.silent(1.0).crossfaded(source, frames=10 * SECOND, gain_db=0.0, fade_frames=SECOND)
    mix, ebb = played(mix, 3 * SECOND)
    at = mix.voices[0].at
    assert 2 * SECOND - BLOCK <= at <= 2 * SECOND
    assert not ebb[2 * SECOND + BLOCK :].any()
    assert not mix.voices[0].carries
    source.decoded = 20 * SECOND
    mix, flood = played(mix, SECOND)
    assert mix.voices[0].at == at + len(flood)
    assert flood[-1, 0] == 1.0
    # Neither cut nor click: a level that moves evenly in decibels, and its last step is the one from the floor.
    level = np.concatenate([ebb, flood])[SECOND:, 0]
    assert np.abs(np.diff(level)).max() < 0.01
    steps_db = np.abs(np.diff(20 * np.log10(level[level > 0])))
    assert steps_db.max() * SECOND <= GLIDE_DB_PER_S * 1.05


def test_what_is_there_of_a_source_that_stops_short_fades() -> None:
    """It said that it had enough, and did not."""

    class Liar(Steady):
        def ready(self, at: int, frames: int) -> int:
            return frames

        def read(self, at: int, frames: int) -> NDArray[np.float32]:
            return super().read(at, max(0, min(frames, self.decoded - at)))

    source = Liar(0, decoded=SECOND + BLOCK // 2)
    mix = Mix.silent(1.0).crossfaded(source, frames=10 * SECOND, gain_db=0.0, fade_frames=1)
    _, sound = played(mix, 2 * SECOND)
    assert sound[SECOND // 2 : SECOND - BLOCK, 0] == pytest.approx(1.0)
    assert not sound[SECOND + BLOCK :].any()
    assert np.abs(np.diff(sound[:, 0])).max() < 0.01


@pytest.mark.parametrize("gain_db", [-30.0, -6.0, 0.0, 6.0])
def test_a_gain_is_one_number_for_the_whole_song(gain_db: float) -> None:
    _, sound = played(begun(0, gain_db=gain_db), 3 * SECOND)
    assert sound[:, 0] == pytest.approx(10 ** (gain_db / 20), rel=1e-5)


def test_full_scale_is_never_left() -> None:
    loud = np.full((4, 2), 30.0, np.float32) * np.array([1.0, -1.0], np.float32)
    assert to_int16(loud).tolist() == [[32767, -32768]] * 4
    assert to_int16(np.ones((1, 2), np.float32)).tolist() == [[round(32767 * HEADROOM)] * 2]


def test_mixing_anew_from_an_earlier_value_gives_the_same() -> None:
    mix = Mix.silent(1.0).crossfaded(Noise(1), frames=9 * SECOND, gain_db=0.0, fade_frames=SECOND)
    early, _ = played(mix, SECOND)
    _, once = played(early, SECOND)
    _, again = played(early, SECOND)
    assert (once == again).all()


STEPS = st.one_of(
    st.tuples(st.just("crossfade"), st.sampled_from([0.05, 0.15, 0.6, 2.0])),
    st.tuples(st.just("fade out"), st.sampled_from([0.05, 2.0])),
    st.tuples(st.just("volume"), st.sampled_from([0.0, 0.1, 0.5, 1.0])),
    st.tuples(st.sampled_from(["pause", "resume"]), st.just(0.0)),
)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(STEPS, st.sampled_from([1, 3, 10, 40, 150])), max_size=12))
def test_no_order_of_commands_makes_a_step(steps: list[tuple[tuple[str, float], int]]) -> None:
    """Of white noise, the level moves by less than 6 dB from one 20-ms window to the next, down to the floor."""
    mix = Mix.silent(1.0)
    parts, songs, fades = [], 0, []
    for (what, value), blocks in [(("crossfade", 2.0), 60), *steps, (("resume", 0.0), 60)]:
        if what == "crossfade":
            songs += 1
            mix = mix.crossfaded(Noise(songs), frames=3600 * SECOND, gain_db=0.0, fade_frames=round(value * SECOND))
        elif what == "fade out":
            mix = mix.faded_out(round(value * SECOND))
        elif what == "volume":
            mix = mix.at_volume(value)
        else:
            mix = mix.with_pause(what == "pause")
        mix, sound = played(mix, blocks * BLOCK)
        parts.append(sound)
        fades.append(what)
    heard = np.concatenate(parts)[:, 0]
    assert np.isfinite(heard).all()
    windows = heard[: len(heard) // WINDOW_20_MS * WINDOW_20_MS].reshape(-1, WINDOW_20_MS)
    level_db = np.maximum(20 * np.log10(np.sqrt((windows**2).mean(axis=1)) / 0.1 + 1e-9), FLOOR_DB + 6.0)
    assert np.abs(np.diff(level_db)).max() < 6.5
    if fades[-2] == "crossfade":
        assert mix.voices
    # However many songs were asked for in a row, all but the newest go.
    mix, _ = played(mix, 8 * SECOND)
    assert len(mix.voices) <= 1
