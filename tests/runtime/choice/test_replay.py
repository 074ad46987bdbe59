"""An evening of feelings, likes, dislikes and skips, lived twice with one seed: the same songs at the same times."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from emomusic_edge.contracts import PlaybackStatus, StableAffect, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.targets import Targets

INDEX = read_index(packaged_deam_index())
STEP_S = 2.0


class Heard(MusicPlayer):
    """Keeps time without a device, and says that somebody hears it: only then does a skip teach."""

    def status(self, now_s: float) -> PlaybackStatus:
        return replace(super().status(now_s), muted=False)


def evening(seed: int, *, opinions: bool) -> tuple[list[tuple[float, str]], int]:
    """The songs with their times, and of how many songs something was learned; the seed is that of the likes' draws."""
    feedback = FeedbackMemory()
    matcher = Matcher(INDEX, AudioRoots(Path("/nowhere")), np.ones(INDEX.song_count, np.bool_), ChoiceRule(), seed=seed)
    targets = Targets(Alignment(INDEX), nearest_music=matcher.nearest_music)
    music = Music(targets, matcher, Heard(None), feedback)
    generator = np.random.default_rng(7)
    feeling = np.array([0.4, 2.9])
    songs: list[tuple[float, str]] = []
    for step in range(4000):
        feeling = np.clip(feeling + generator.normal(0, 0.02, 2), (-3, 0), (3, 6))
        likes, dislikes, skips = generator.random(3) < (0.03, 0.02, 0.02)
        if opinions:
            if likes:
                music.like()
            if dislikes:
                music.dislike()
            if skips:
                music.skip()
        now_s = step * STEP_S
        stable = StableAffect(ValenceArousal(*feeling), ValenceArousal(0.1, 0.1), (False, False), 0.0)
        playing = music.step(stable, now_s).playback.segment
        if playing is not None and (not songs or songs[-1][1] != playing.song_id):
            songs.append((now_s, playing.song_id))
    return songs, len(feedback.counts())


def test_the_same_evening_gives_the_same_songs() -> None:
    first, learned = evening(1, opinions=True)
    assert (first, learned) == evening(1, opinions=True)
    assert len({song for _, song in first}) > 100
    assert learned > 50
    # what was said has a part in it, and so has the seed
    assert first != evening(1, opinions=False)[0]
    assert first != evening(2, opinions=True)[0]
