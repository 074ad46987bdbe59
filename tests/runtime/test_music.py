"""What a person may wish of the music: skip, like, dislike, forget; the real matcher, targets and player."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_index import sample_index

from emomusic_edge.contracts import Mode, PlaybackStatus, StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.choice.feedback import EARLY_SKIP_S, Counts, early_s
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.groups.companion import Advice, Alone, Companion, SharedSong
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.targets import Targets

GLAD = StableAffect(ValenceArousal(1.0, 3.0), ValenceArousal(0.1, 0.1), (False, False), 0.0)


class Heard(MusicPlayer):
    """Keeps time as the real one does without a device, and says that somebody hears it."""

    def __init__(self) -> None:
        super().__init__(None)
        self.failed: list[str] = []

    def failures(self) -> list[tuple[str, str]]:
        failed, self.failed = self.failed, []
        return [(song_id, f"{song_id} does not decode") for song_id in failed]

    def status(self, now_s: float) -> PlaybackStatus:
        return replace(super().status(now_s), muted=False)


@pytest.fixture
def feedback() -> FeedbackMemory:
    return FeedbackMemory()


@pytest.fixture
def music(feedback: FeedbackMemory) -> Music:
    return music_with(feedback, Heard())


def music_with(
    feedback: FeedbackMemory, player: MusicPlayer, *, song_end_s: float = 200.0, companion: Companion | None = None
) -> Music:
    generator = np.random.default_rng(1)
    count = 40
    index = sample_index(
        points=generator.uniform(-0.5, 0.5, (count, 2)).astype(np.float32),
        start_s=np.zeros(count, np.float32),
        end_s=np.full(count, 10, np.float32),
        song=np.arange(count, dtype=np.int32),
        song_ids=tuple(f"s{row}" for row in range(count)),
        titles=("",) * count,
        files=tuple(f"s{row}.ogg" for row in range(count)),
        song_end_s=np.full(count, song_end_s, np.float32),
    )
    matcher = Matcher(index, AudioRoots(Path("/nowhere")), np.ones(count, np.bool_), ChoiceRule())
    return Music(Targets(Alignment(index), nearest_music=matcher.nearest_music), matcher, player, feedback, companion)


def song_of(music: Music, now_s: float) -> str:
    playing = music.step(GLAD, now_s).playback.segment
    assert playing is not None
    return playing.song_id


def test_a_like_is_that_of_the_song_that_plays_and_counts_once_a_playing(
    music: Music, feedback: FeedbackMemory
) -> None:
    first = song_of(music, 0.0)
    for now_s in (1.0, 2.0):
        music.like()
        assert song_of(music, now_s) == first
    assert feedback.counts() == {first: Counts(likes=1)}
    music.dislike()
    assert song_of(music, 3.0) == first  # it plays on
    assert feedback.counts() == {first: Counts(dislikes=1)}
    for now_s in (4.0, 5.0, 6.0):
        music.like()
        song_of(music, now_s)
        music.dislike()
        song_of(music, now_s + 0.5)
    assert feedback.counts() == {first: Counts(dislikes=1)}
    music.skip()
    assert song_of(music, 7.0) != first
    assert feedback.counts() == {first: Counts(dislikes=1, skips=1)}


def test_a_like_of_silence_is_told(music: Music, feedback: FeedbackMemory) -> None:
    music.like()
    state = music.step(None, 0.0)
    assert "nothing plays" in state.likes_reason
    assert feedback.counts() == {}
    assert music.step(None, 60.0).likes_reason == ""


def test_an_early_skip_teaches_a_late_one_does_not(music: Music, feedback: FeedbackMemory) -> None:
    first = song_of(music, 0.0)
    music.skip()
    second = song_of(music, EARLY_SKIP_S - 1)
    assert second != first
    assert feedback.counts() == {first: Counts(skips=1)}
    music.skip()
    song_of(music, 2 * EARLY_SKIP_S)
    assert feedback.counts() == {first: Counts(skips=1)}


def test_a_skip_that_nobody_hears_teaches_nothing(feedback: FeedbackMemory) -> None:
    music = music_with(feedback, MusicPlayer(None))
    song_of(music, 0.0)
    music.skip()
    song_of(music, 1.0)
    assert feedback.counts() == {}


@pytest.mark.parametrize("why", ["paused", "silent", "at once"])
def test_skips_of_songs_that_nobody_heard_teach_nothing(music: Music, feedback: FeedbackMemory, why: str) -> None:
    song_of(music, 0.0)
    if why == "paused":
        music.pause(5.0)
    elif why == "silent":
        music.set_volume(0.0)
    songs = []
    for press in range(6):
        music.skip()
        songs.append(song_of(music, 0.9 * (press + 1) if why == "at once" else 6.0 + 5 * press))
    assert len(set(songs)) == 6
    assert feedback.counts() == {}


@pytest.mark.parametrize(("sounds_s", "early"), [(30.0, 15.0), (200.0, 30.0), (8.0, 4.0)])
def test_early_is_before_half_a_song_and_before_half_a_minute(
    feedback: FeedbackMemory, sounds_s: float, early: float
) -> None:
    assert early_s(sounds_s) == early
    for after_s, skips in ((early - 0.1, 1), (early, 0)):
        music = music_with(feedback, Heard(), song_end_s=sounds_s)
        first = song_of(music, 0.0)
        music.skip()
        song_of(music, after_s)
        assert feedback.counts().get(first, Counts()) == Counts(skips=skips)
        feedback.forget()


def walking(player: Heard, songs: int) -> tuple[Music, list[str]]:
    """`guide`, a skip every ten seconds from 0 s on, and the songs."""
    music = music_with(FeedbackMemory(), player)
    music.set_mode(Mode.GUIDE)
    heard = []
    for song in range(songs):
        music.skip()
        heard.append(song_of(music, 10.0 * song))
    return music, heard


def at_of(music: Music, now_s: float) -> int:
    path = music.step(GLAD, now_s).path
    assert path is not None
    return path.at


def test_guide_steps_back_for_the_song_it_chose_last_before_that_was_heard() -> None:
    player = Heard()
    music, songs = walking(player, 3)
    before = at_of(music, 20.1)
    assert before == 2
    player.failed = [songs[-1], songs[-1]]
    assert at_of(music, 20.5) == before - 1  # once, however often it is told


@pytest.mark.parametrize("failing", ["another", "heard"])
def test_guide_does_not_step_back_for_others_nor_for_what_was_heard(failing: str) -> None:
    player = Heard()
    music, songs = walking(player, 3)
    before = at_of(music, 20.1 if failing == "another" else 25.0)
    player.failed = [songs[0] if failing == "another" else songs[-1]]
    state = music.step(GLAD, 26.0 if failing == "heard" else 20.2)
    assert "does not decode" in state.reason
    assert state.path is not None
    assert state.path.at == before


class Asked(Alone):
    """Gives each piece of advice once."""

    def __init__(self, advice: Advice) -> None:
        self.next: Advice | None = advice

    def advise(self, own: ValenceArousal | None, mode: Mode, playback: PlaybackStatus, now_s: float) -> Advice:
        given, self.next = self.next, None
        return given or Advice(holds=True)


@pytest.mark.parametrize("role", ["follows", "leads"])
def test_a_song_of_the_group_begins_the_time_that_was_sure_anew(role: str) -> None:
    """Uncertain for ten minutes, then sure for a song of the group: the way goes on after it."""
    held = replace(GLAD, held=(True, True))
    companion = Asked(Advice())
    music = music_with(FeedbackMemory(), Heard(), companion=companion)
    music.set_mode(Mode.GUIDE)
    first = song_of(music, 0.0)
    for now_s in (1.0, 600.0):
        music.step(held, now_s)
    song = SharedSong("s7" if first != "s7" else "s8", 0.0, 200.0, 600.0)
    companion.next = Advice(song=song) if role == "follows" else Advice(target=ValenceArousal(0.4, 0.4))
    music.skip()
    assert song_of(music, 600.5) != first
    for now_s in (600.6, 630.0):
        music.step(GLAD, now_s)
    companion.next = Advice()
    music.skip()
    path = music.step(GLAD, 631.0).path
    assert path is not None
    assert (path.at, path.waits) in [(1, ""), (1, "shorter")]


def test_at_most_three_skips_a_second(music: Music) -> None:
    songs = [song_of(music, 0.0)]
    for step in range(1, 101):
        music.skip()
        songs.append(song_of(music, 10.0 + step / 10))
    changes = sum(a != b for a, b in itertools.pairwise(songs))
    assert 25 <= changes <= 31
    assert songs[1] != songs[0]  # the first one at once


def test_forget_wipes_and_the_choice_follows(music: Music, feedback: FeedbackMemory) -> None:
    song_of(music, 0.0)
    music.like()
    song_of(music, 1.0)
    music.forget()
    assert feedback.counts() == {}
    assert music.step(GLAD, 2.0).likes_reason == ""


def test_the_path_is_in_the_state(music: Music) -> None:
    assert music.step(GLAD, 0.0).path is None
    music.set_mode(Mode.GUIDE)
    music.skip()
    path = music.step(GLAD, 1.0).path
    assert path is not None
    assert path.at == 0
    for song in range(1, 30):
        music.skip()
        path = music.step(GLAD, 1.0 + song).path
        assert path is not None
    assert path.at == len(path.points) - 1
    assert path.points[-1] == pytest.approx((0.3, 0.0))
