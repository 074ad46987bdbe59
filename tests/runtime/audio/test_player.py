"""The player: what it says plays, what it makes a device do, and what is truly heard."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_mixer import FakeMixer
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sounds import MADE_OUTPUT, WINDOW, judged, levels, sine, strength, write

from emomusic_edge.contracts import PlaybackStatus, Player, Segment
from emomusic_edge.errors import AudioError
from emomusic_edge.runtime.audio.mix import HEADROOM
from emomusic_edge.runtime.audio.mixer import StreamMixer
from emomusic_edge.runtime.audio.output import SAMPLE_RATE_HZ, EarlyEnd
from emomusic_edge.runtime.audio.player import SKIP_FADE_S, MusicPlayer
from emomusic_edge.runtime.audio.sdl import SdlSink

LENGTH_S = 45.0


def segment(name: str, start_s: float = 15.0, song_end_s: float = LENGTH_S, gain_db: float = 0.0) -> Segment:
    return Segment(name, start_s, start_s + 10, 0.1, 0.2, Path(f"{name}.ogg"), song_end_s, gain_db=gain_db)


def decodes(path: Path) -> float:
    if path.stem.startswith("broken"):
        raise AudioError(f"{path}: does not decode")
    return LENGTH_S


def wait_for(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.005)


@pytest.fixture
def fake() -> FakeMixer:
    return FakeMixer(decodes)


@pytest.fixture
def player(fake: FakeMixer) -> Iterator[MusicPlayer]:
    made = MusicPlayer(fake, retry_s=0.02)
    made.start()
    yield made
    fake.may_load.set()
    made.close()


def heard(fake: FakeMixer) -> list[tuple[str, float]]:
    """What sounds and is not fading out, with its start second."""
    return [(voice.path.stem, voice.start_s) for voice in fake.scene.voices if not voice.falling]


def test_is_a_player() -> None:
    made: Player = MusicPlayer(None)
    assert made.status(0.0) == PlaybackStatus(muted=True)


# What it says, by the loop's clock alone.


def test_a_song_plays_from_its_start_to_its_end_less_the_fade() -> None:
    player = MusicPlayer(None, crossfade_s=2.0, volume=0.4)
    player.start()
    player.play(segment("a", 15.0, 45.0), now_s=100.0)
    assert player.status(100.0) == PlaybackStatus(segment("a", 15.0, 45.0), 15.0, muted=True, volume=0.4)
    assert player.status(110.0).position_s == 25.0
    assert not player.status(127.99).ended
    assert player.status(128.0).ended
    over = player.status(1000.0)
    assert (over.ended, over.position_s, over.segment) == (True, 45.0, segment("a", 15.0, 45.0))
    player.play(segment("b", 0.0, 30.0), now_s=1000.0)
    assert (player.status(1000.0).ended, player.status(1001.0).position_s) == (False, 1.0)


def test_pause_holds_the_position() -> None:
    player = MusicPlayer(None)
    player.play(segment("a"), 0.0)
    player.pause(4.0)
    assert (player.status(50.0).position_s, player.status(50.0).paused) == (19.0, True)
    player.pause(60.0)
    player.resume(100.0)
    player.resume(101.0)
    assert (player.status(103.0).position_s, player.status(103.0).paused) == (22.0, False)


def test_a_song_played_during_a_pause_waits_for_its_end() -> None:
    player = MusicPlayer(None)
    player.pause(0.0)
    player.play(segment("a"), 5.0)
    assert (player.status(9.0).position_s, player.status(9.0).paused) == (15.0, True)
    player.resume(10.0)
    assert player.status(12.0).position_s == 17.0


def test_after_stop_nothing_plays() -> None:
    player = MusicPlayer(None)
    player.play(segment("a"), 0.0)
    player.stop(1.0)
    assert player.status(2.0) == PlaybackStatus(muted=True)


def test_muted_it_touches_no_file_and_knows_no_failure() -> None:
    player = MusicPlayer(None)
    player.start()
    player.play(segment("broken"), 0.0)
    assert player.status(1.0).segment == segment("broken")
    assert player.failures() == []
    player.close()


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("wait"), st.floats(0, 30)),
            st.tuples(st.just("play"), st.floats(0, 40)),
            st.tuples(st.sampled_from(["pause", "resume", "stop"]), st.just(0.0)),
        ),
        max_size=40,
    )
)
def test_the_position_is_the_time_it_ran(steps: list[tuple[str, float]]) -> None:
    """Against a reckoning that adds up every wait."""
    player = MusicPlayer(None, crossfade_s=2.0)
    now_s, paused = 0.0, False
    position_s: float | None = None
    for what, value in steps:
        if what == "wait":
            now_s += value
            if position_s is not None and not paused:
                position_s = min(LENGTH_S, position_s + value)
        elif what == "play":
            player.play(segment("a", value), now_s)
            position_s = value
        elif what == "stop":
            player.stop(now_s)
            position_s = None
        else:
            (player.pause if what == "pause" else player.resume)(now_s)
            paused = what == "pause"
        status = player.status(now_s)
        assert status.paused == paused
        assert (status.segment is None) == (position_s is None)
        assert status.position_s == pytest.approx(position_s or 0.0, abs=1e-6)
        # Summing the waits and subtracting two times differ in the last bits.
        if position_s is None or abs(position_s - (LENGTH_S - 2.0)) > 1e-6:
            assert status.ended == (position_s is not None and position_s > LENGTH_S - 2.0)


# What it makes a device do.


def test_it_plays_on_the_device(player: MusicPlayer, fake: FakeMixer) -> None:
    assert (player.status(0.0).muted, player.status(0.0).reason) == (False, "")
    player.play(segment("a", gain_db=-4.0), 0.0)
    assert fake.wait_until(lambda: heard(fake) == [("a", 15.0)])
    assert (fake.scene.voices[0].fade_s, fake.scene.voices[0].gain_db) == (2.0, -4.0)
    player.play(segment("a", 20.0), 3.0)
    assert fake.wait_until(lambda: heard(fake) == [("a", 20.0)])
    player.play(segment("b"), 3.5, at_once=True)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert fake.scene.voices[-1].fade_s == SKIP_FADE_S
    player.stop(4.0)
    assert fake.wait_until(lambda: heard(fake) == [])
    player.set_volume(7.0)
    assert fake.wait_until(lambda: fake.scene.volume == 1.0)
    assert player.status(4.0).volume == 1.0


def test_no_call_waits_for_a_file_and_the_newest_song_wins(player: MusicPlayer, fake: FakeMixer) -> None:
    fake.may_load.clear()
    player.play(segment("a"), 0.0)
    assert fake.wait_until(lambda: fake.loads == [Path("a.ogg")])
    for name in "bcd":
        player.play(segment(name), 1.0)
        assert player.status(1.0).segment == segment(name)
    fake.may_load.set()
    assert fake.wait_until(lambda: heard(fake) == [("d", 15.0)])
    assert fake.loads == [Path("a.ogg"), Path("d.ogg")]
    assert fake.most_voices == 1


def test_the_decoded_length_is_the_song_s_end(player: MusicPlayer, fake: FakeMixer) -> None:
    player.play(segment("a", 15.0, song_end_s=60.0), 0.0)
    assert fake.wait_until(lambda: bool(heard(fake)))
    assert fake.scene.voices[0].end_s == LENGTH_S
    assert player.status(28.0).ended
    player.play(segment("b", 15.0, song_end_s=40.0), 30.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert fake.scene.voices[-1].end_s == 40.0
    assert player.status(53.0).ended


def test_a_song_near_its_end_does_not_outlast_itself_in_the_fade(player: MusicPlayer, fake: FakeMixer) -> None:
    player.play(segment("a"), 0.0)
    player.play(segment("b"), 29.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert fake.scene.voices[-1].fade_s == pytest.approx(1.0)
    player.play(segment("c"), 1000.0)
    assert fake.wait_until(lambda: heard(fake) == [("c", 15.0)])
    assert 0 < fake.scene.voices[-1].fade_s <= 0.1


@pytest.mark.parametrize("bad", [segment("broken"), segment("late", LENGTH_S + 1, 90.0)])
def test_a_song_that_cannot_play_is_told_once(player: MusicPlayer, fake: FakeMixer, bad: Segment) -> None:
    player.play(segment("a"), 0.0)
    assert fake.wait_until(lambda: bool(heard(fake)))
    player.play(bad, 1.0)
    failures: list[tuple[str, str]] = []

    def told() -> bool:
        failures.extend(player.failures())
        return bool(failures)

    wait_for(told)
    assert failures[0][0] == bad.song_id
    assert str(bad.path) in failures[0][1]
    status = player.status(2.0)
    assert (status.segment, status.ended, status.muted) == (None, True, False)
    assert fake.wait_until(lambda: heard(fake) == [])
    assert player.failures() == []
    player.play(segment("b"), 3.0)
    assert not player.status(3.0).ended
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert player.failures() == []


def test_a_failure_of_an_older_song_leaves_the_newer_alone(player: MusicPlayer, fake: FakeMixer) -> None:
    fake.may_load.clear()
    player.play(segment("broken"), 0.0)
    assert fake.wait_until(lambda: bool(fake.loads))
    player.play(segment("a"), 0.1)
    fake.may_load.set()
    assert fake.wait_until(lambda: heard(fake) == [("a", 15.0)])
    assert player.status(0.2).segment == segment("a")
    assert [song for song, _ in player.failures()] == ["broken"]


def test_a_song_shorter_than_it_says_ends_there(player: MusicPlayer, fake: FakeMixer) -> None:
    player.play(segment("a"), 0.0)
    assert fake.wait_until(lambda: bool(heard(fake)))
    fake.early = EarlyEnd(25.0)
    wait_for(lambda: player.status(8.0).ended)
    assert not player.status(7.9).ended
    assert player.status(20.0).position_s == 25.0
    assert player.failures() == []
    fake.early = None
    player.play(segment("b"), 8.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert fake.scene.voices[-1].fade_s == 2.0


def test_a_song_that_breaks_off_is_told_once_and_sounds_until_then(player: MusicPlayer, fake: FakeMixer) -> None:
    player.play(segment("a"), 0.0)
    assert fake.wait_until(lambda: bool(heard(fake)))
    fake.early = EarlyEnd(20.0, "a.ogg: does not decode past 20.0 s")
    wait_for(lambda: player.status(1.0).ended)
    assert player.failures() == [("a", "a.ogg: does not decode past 20.0 s")]
    assert player.status(1.0).segment is None
    assert heard(fake) == [("a", 15.0)]
    player.pause(1.0)
    player.resume(2.0)
    fake.early = None
    player.play(segment("b"), 3.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert player.failures() == []
    assert not player.status(3.0).ended


def test_pause_and_resume_reach_the_device(player: MusicPlayer, fake: FakeMixer) -> None:
    player.play(segment("a"), 0.0)
    assert fake.wait_until(lambda: bool(heard(fake)))
    player.pause(1.0)
    assert fake.wait_until(lambda: fake.scene.paused)
    player.play(segment("b"), 2.0)
    player.resume(3.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)] and not fake.scene.paused)
    assert fake.most_voices == 1
    player.pause(4.0)
    player.stop(5.0)
    assert fake.wait_until(lambda: fake.scene.paused and fake.scene.voices == ())
    player.resume(6.0)
    assert fake.wait_until(lambda: not fake.scene.paused)
    assert fake.scene.voices == ()


def test_without_a_device_it_goes_on_and_joins_in_when_one_appears(fake: FakeMixer) -> None:
    fake.present = False
    player = MusicPlayer(fake, retry_s=0.02)
    player.start()
    status = player.status(0.0)
    assert status.muted
    assert "no audio device answers" in status.reason
    assert "plug it in" in status.reason
    player.play(segment("a"), 0.0)
    player.set_volume(0.5)
    assert player.status(7.0).position_s == 22.0
    fake.present = True
    assert fake.wait_until(lambda: heard(fake) == [("a", 22.0)])
    assert (player.status(7.0).muted, player.status(7.0).reason) == (False, "")
    assert fake.scene.volume == 0.5
    # The next song begins where it should.
    player.play(segment("b"), 8.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    player.close()


def test_a_device_that_goes_away_is_told_and_found_again(player: MusicPlayer, fake: FakeMixer) -> None:
    player.play(segment("a"), 0.0)
    assert fake.wait_until(lambda: bool(heard(fake)))
    player.pause(1.0)
    assert fake.wait_until(lambda: fake.scene.paused)
    fake.present = False
    wait_for(lambda: player.status(5.0).muted)
    assert player.status(5.0).reason
    fake.present = True
    wait_for(lambda: not player.status(5.0).muted)
    player.resume(5.0)
    assert fake.wait_until(lambda: heard(fake) == [("a", 16.0)] and not fake.scene.paused)


def test_a_song_that_ended_while_there_was_no_device_is_not_begun(fake: FakeMixer) -> None:
    fake.present = False
    player = MusicPlayer(fake, retry_s=0.02)
    player.start()
    player.play(segment("a"), 0.0)
    assert player.status(60.0).ended
    fake.present = True
    wait_for(lambda: not player.status(60.0).muted)
    player.play(segment("b"), 61.0)
    assert fake.wait_until(lambda: heard(fake) == [("b", 15.0)])
    assert fake.most_voices == 1
    player.close()


def test_an_error_nobody_foresaw_is_told_and_survived(player: MusicPlayer, fake: FakeMixer) -> None:
    closes = fake.close_calls
    fake.broken = RuntimeError("the mixer is upside down")
    reasons = set()
    player.play(segment("a"), 0.0)

    def recovered() -> bool:
        reasons.add(player.status(0.0).reason)
        return heard(fake) == [("a", 15.0)] and player.status(0.0).reason == ""

    wait_for(recovered)
    assert any("the mixer is upside down" in reason for reason in reasons)
    assert fake.close_calls == closes + 1


def test_after_an_error_the_device_is_taken_at_once_but_not_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first error finds a device that was long well; the next ones find it just taken."""
    retry_s = 1.5
    broken = FakeMixer(decodes)
    monkeypatch.setattr(broken, "load", lambda path: 1 / 0)
    opened_s: list[float] = []
    take = broken.open
    monkeypatch.setattr(broken, "open", lambda: (opened_s.append(time.monotonic()), take())[1])
    player = MusicPlayer(broken, retry_s=retry_s)
    player.start()
    try:
        time.sleep(1.1 * retry_s)
        player.play(segment("one"), 0.0)
        asked_s = time.monotonic()
        wait_for(lambda: len(opened_s) >= 3)
    finally:
        player.close()
    assert opened_s[1] - asked_s < retry_s
    assert opened_s[2] - opened_s[1] >= 0.99 * retry_s


def test_close_lets_go_and_may_be_called_at_any_time(fake: FakeMixer) -> None:
    MusicPlayer(fake).close()
    assert fake.close_calls == 0
    before = threading.active_count()
    player = MusicPlayer(fake)
    player.start()
    player.start()
    assert threading.active_count() == before + 1
    player.play(segment("a"), 0.0)
    player.close()
    player.close()
    assert not fake.scene.opened
    assert threading.active_count() == before
    player.play(segment("b"), 1.0)
    player.stop(2.0)
    player.set_volume(0.1)
    assert player.status(2.0).segment is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("play"), st.sampled_from(["a", "b", "c"])),
            st.tuples(st.just("volume"), st.sampled_from(["0.0", "0.3", "1.0"])),
            st.tuples(st.sampled_from(["pause", "resume", "stop", "fades end", "replug"]), st.just("")),
        ),
        max_size=25,
    )
)
def test_the_device_ends_at_what_was_last_asked_for(steps: list[tuple[str, str]]) -> None:
    fake = FakeMixer(decodes)
    player = MusicPlayer(fake, volume=1.0, retry_s=0.001)
    player.start()
    song, volume, paused = "", 1.0, False
    for what, value in steps:
        if what == "play":
            player.play(segment(value), 0.0)
            song = value
        elif what == "volume":
            volume = float(value)
            player.set_volume(volume)
        elif what == "stop":
            player.stop(0.0)
            song = ""
        elif what == "fades end":
            fake.let_fades_end()
        elif what == "replug":
            fake.present = False
            player.set_volume(0.99 if volume == 1.0 else 1.0)
            wait_for(lambda: player.status(0.0).muted)
            fake.present = True
            player.set_volume(volume)
        else:
            (player.pause if what == "pause" else player.resume)(0.0)
            paused = what == "pause"

    def settled() -> bool:
        said = [name for name, _ in heard(fake)]
        return (
            fake.scene.opened
            and (fake.scene.volume, fake.scene.paused) == (volume, paused)
            and (paused or said == ([song] if song else []))
        )

    try:
        assert fake.wait_until(settled)
        player.resume(0.0)
        assert fake.wait_until(lambda: heard(fake) == ([(song, 15.0)] if song else []) and not fake.scene.paused)
        fake.let_fades_end()
        assert len(fake.scene.voices) == bool(song)
        assert fake.most_voices <= 2
        assert player.failures() == []
    finally:
        player.close()


# What is truly heard.


def test_a_crossfade_is_heard_whole(tmp_path: Path) -> None:
    """Two full-scale sines, 600 Hz then 1500 Hz, by the player and the mixer, as SDL would sound them."""
    low, high = write(tmp_path / "low.ogg", sine(600.0, 20.0)), write(tmp_path / "high.flac", sine(1500.0, 20.0))
    script = f"""
import time
from pathlib import Path
from emomusic_edge.contracts import Segment
from emomusic_edge.runtime.audio.player import MusicPlayer
{MADE_OUTPUT}
player = MusicPlayer(output, crossfade_s=2.0)
player.start()
for path in ({str(low)!r}, {str(high)!r}):
    player.play(Segment(path, 5.0, 15.0, 0.0, 0.0, Path(path), 20.0), time.monotonic())
    time.sleep(3.5)
assert player.status(time.monotonic()).reason == ""
assert not player.failures()
player.close()
"""

    def judge(sound: NDArray[np.float64]) -> None:
        assert np.abs(sound).max() < 1.0
        assert (sound[:, 0] == sound[:, 1]).all()

        level = levels(sound) * np.sqrt(2) / HEADROOM
        low_level, high_level = strength(sound, 600.0) / HEADROOM, strength(sound, 1500.0) / HEADROOM
        full = np.flatnonzero(low_level > 0.985)
        begins, ends = full[0], np.flatnonzero(high_level > 0.985)[-1]
        during = level[begins:ends]
        assert 20 * np.log10(during.max() / 0.99) < 0.2
        assert 20 * np.log10(during.min() / 0.99) > -0.2

        starts = int(np.flatnonzero(high_level > 0.05)[0])
        fade = np.arange(starts, starts + 2 * SAMPLE_RATE_HZ // WINDOW)
        assert (np.diff(low_level[fade]) < 0.03).all()
        assert (np.diff(high_level[fade]) > -0.03).all()
        assert low_level[fade[len(fade) // 2]] == pytest.approx(0.7, abs=0.05)
        # Short of the end, where the closing fade spreads the other pitch a little.
        assert low_level[fade[-1] + 10 : ends - 10].max() < 1e-3

    judged(script, tmp_path, judge)


def test_a_real_mixer_joins_in_when_a_device_appears(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = write(tmp_path / "song.ogg", sine(600.0, 20.0))
    monkeypatch.setenv("SDL_AUDIODRIVER", "nonexistent")
    output = StreamMixer(SdlSink())
    player = MusicPlayer(output, retry_s=0.05)
    player.start()
    player.play(Segment("a", 5.0, 15.0, 0.0, 0.0, song, 20.0), 0.0)
    assert "nonexistent" in player.status(1.0).reason
    assert player.status(1.0).muted
    monkeypatch.setenv("SDL_AUDIODRIVER", "dummy")
    wait_for(lambda: not player.status(1.0).muted)

    wait_for(lambda: bool(output.mix.voices))
    player.close()
    assert not output.alive()
