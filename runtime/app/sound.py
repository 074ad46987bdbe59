"""Builds the music side: index, choice and player."""

from __future__ import annotations

from emomusic_edge.config import Settings
from emomusic_edge.contracts import Player, ValenceArousal
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.runtime.audio.player import MusicPlayer
from emomusic_edge.runtime.locate import audio_folder, index_file
from emomusic_edge.runtime.matcher import Matcher
from emomusic_edge.runtime.music import Music
from emomusic_edge.runtime.targets import Targets


def music_of(settings: Settings, player: Player) -> Music:
    """The music side, for a player.

    Raises:
        IndexFileError: the index is missing or broken, or none of its songs has its audio.
    """
    index = read_index(index_file(settings))
    mode, music = settings.mode, settings.music
    targets = Targets(
        Alignment(index, AlignmentMethod(music.alignment)),
        mode=mode.mode,
        mood=ValenceArousal(mode.manual_valence, mode.manual_arousal),
        guide_goal=ValenceArousal(mode.goal_valence, mode.goal_arousal),
        guide_steps=mode.guide_steps,
    )
    matcher = Matcher(
        index,
        audio_folder(settings),
        dwell_s=music.dwell_s,
        recent=music.recent_songs,
        margin=music.switch_margin,
        k=music.neighbours,
        fade_s=settings.player.crossfade_s,
    )
    return Music(targets, matcher, player)


def player_of(settings: Settings, *, muted: bool) -> Player:
    """The player; muted, it keeps time without a device."""
    output = None
    if not muted:
        # pygame is a fifth of the start-up time and of no use without sound.
        from emomusic_edge.runtime.audio.mixer import PygameMixer

        output = PygameMixer()
    return MusicPlayer(
        output,
        crossfade_s=settings.player.crossfade_s,
        volume=settings.player.volume,
        retry_s=settings.player.device_retry_s,
    )
