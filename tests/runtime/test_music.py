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
from emomusic_edge.runtime.choice.feedback import EARLY_SKIP_S, Counts
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.targets import Targets

GLAD = StableAffect(ValenceArousal(1.0, 3.0), ValenceArousal(0.1, 0.1), (False, False), 0.0)


class Heard(MusicPlayer):
    """Keeps time as the real one does without a device, and says that somebody hears it."""

    def status(self, now_s: float) -> PlaybackStatus:
        return replace(super().status(now_s), muted=False)


@pytest.fixture
def feedback() -> FeedbackMemory:
    return FeedbackMemory()


@pytest.fixture
def music(feedback: FeedbackMemory) -> Music:
    return music_with(feedback, Heard(None))


def music_with(feedback: FeedbackMemory, player: MusicPlayer) -> Music:
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
        song_end_s=np.full(count, 200, np.float32),
    )
    matcher = Matcher(index, AudioRoots(Path("/nowhere")), np.ones(count, np.bool_), ChoiceRule())
    return Music(Targets(Alignment(index), nearest_music=matcher.nearest_music), matcher, player, feedback)


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
    assert feedback.counts() == {first: Counts(likes=1, dislikes=1)}


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
