"""Builds the music side: index, choice, what was learned of a person, and player."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path

import numpy as np

from emomusic_edge.config import Settings
from emomusic_edge.config.privacy import NOTICE_OFF, NOTICE_SHOWN
from emomusic_edge.contracts import Player, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.deam_index.audio_files import playable_files
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.loudness_file import song_gains_db
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.errors import AudioError, ConfigError, IndexFileError
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.audio.output import AudioOutput
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.calibration import AppliedCalibration
from emomusic_edge.runtime.choice.feedback_memory import FeedbackMemory
from emomusic_edge.runtime.choice.feedback_store import FeedbackStore
from emomusic_edge.runtime.choice.rule import ChoiceRule
from emomusic_edge.runtime.groups.companion import Companion
from emomusic_edge.runtime.locate import applied_calibration, audio_roots, index_file, loudness_file
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.privacy.notice import NoticeFirst
from emomusic_edge.runtime.targets import NO_SHIFT, Targets
from emomusic_edge.trust import signature_check

_log = logging.getLogger(__name__)


def personal_music(
    settings: Settings,
    player: Player,
    loaded: contextlib.ExitStack,
    companion: Companion | None = None,
    *,
    waits: bool = False,
) -> tuple[Music, AppliedCalibration]:
    """The music side with what was learned of a person, and that person's calibration.

    Args:
        settings: mode and rule, and where the audio is.
        player: told what to play.
        loaded: closed at the end of the run.
        companion: the group that this node plays along with; None without one.
        waits: see `music_of`.

    Raises:
        EmomusicError: the index or the calibration is missing or broken, or none of the songs has its audio.
    """
    layout = DataLayout(settings.paths.data_dir)
    applied = applied_calibration(settings)
    file = index_file(settings)
    index = read_index(file, check=signature_check(file, settings.trust.allowed_signers, IndexFileError))
    if applied.reason:
        _log.warning("%s; to calibrate with the models in use: emomusic-edge calibrate", applied.reason)
    feedback = FeedbackMemory(FeedbackStore(layout.likes, index.name))
    loaded.callback(feedback.close)
    shift = NO_SHIFT if applied.calibration is None else applied.calibration.shift
    music = music_of(settings, index, player, feedback=feedback, shift=shift, companion=companion, waits=waits)
    return music, applied


def music_of(
    settings: Settings,
    index: MusicIndex,
    player: Player,
    *,
    feedback: FeedbackMemory | None = None,
    shift: ValenceArousal = NO_SHIFT,
    without_audio: bool = False,
    companion: Companion | None = None,
    waits: bool = False,
) -> Music:
    """The music side, for a player.

    Args:
        settings: mode and rule, and where the audio is.
        index: the songs.
        player: told what to play.
        feedback: what likes taught; None begins with nothing and keeps nothing.
        shift: a person's calibration.
        without_audio: takes every song as playable, whether its file is there or not; for a player without a device.
        companion: the group that this node plays along with; None without one.
        waits: where no song has its audio, goes on all the same and tries again and again: a service may start before
            the drive with the music is there.

    Raises:
        IndexFileError: none of the songs has its audio.
    """
    roots = audio_roots(settings)
    mode, music = settings.mode, settings.music
    there = np.ones(index.song_count, np.bool_) if without_audio else playable_files(index, roots)
    if waits and not there.any():
        _log.warning("no song of index %s is in %s yet; they are tried again and again", index.name, roots.folder)
        there = np.ones(index.song_count, np.bool_)
    matcher = Matcher(
        index,
        roots,
        there,
        choice_rule(settings),
        seed=music.seed,
        gains_db=None if without_audio else song_gains_db(index, loudness_file(settings), roots),
    )
    targets = Targets(
        Alignment(index, AlignmentMethod(music.alignment)),
        mode=mode.mode,
        mood=ValenceArousal(mode.manual_valence, mode.manual_arousal),
        guide_goal=ValenceArousal(mode.goal_valence, mode.goal_arousal),
        guide_steps=mode.guide_steps,
        nearest_music=matcher.nearest_music,
        shift=shift,
    )
    return Music(targets, matcher, player, feedback, companion)


def choice_rule(settings: Settings) -> ChoiceRule:
    """The rule of the choice as set."""
    music = settings.music
    return ChoiceRule(
        radius=music.affect_radius,
        margin=music.switch_margin,
        recent=music.recent_songs,
        spacing=music.spacing_songs,
        dwell_s=music.dwell_s,
        fade_s=settings.player.crossfade_s,
    )


def player_of(settings: Settings, *, muted: bool, announces: bool = False) -> Player:
    """The player; muted, it keeps time without a device.

    Args:
        settings: how it plays.
        muted: whether it makes no sound.
        announces: whether the notice is played first, where it is a sound.

    Raises:
        ConfigError: the notice is a sound file that cannot be played.
    """
    output: AudioOutput | None = None
    if not muted:
        # pygame is a fifth of the start-up time and of no use without sound.
        from emomusic_edge.runtime.audio.mixer import StreamMixer
        from emomusic_edge.runtime.audio.sdl import SdlSink

        output = StreamMixer(SdlSink())
        notice = settings.privacy.notice
        if announces and notice not in (NOTICE_SHOWN, NOTICE_OFF):
            output = NoticeFirst(output, _sound_of_notice(notice))
    return MusicPlayer(
        output,
        crossfade_s=settings.player.crossfade_s,
        volume=settings.player.volume,
        retry_s=settings.player.device_retry_s,
    )


def _sound_of_notice(name: str) -> Path:
    from emomusic_edge.runtime.audio.song_stream import probe

    try:
        probe(Path(name))
    except AudioError as cause:
        raise ConfigError(
            f"privacy.notice: {cause}",
            mend=f"Name a sound file that this machine plays, or {NOTICE_SHOWN!r} to show the notice only.",
        ) from cause
    return Path(name)
