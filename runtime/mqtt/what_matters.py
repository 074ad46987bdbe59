"""Which part of a message is worth telling at once when it changes; a rule without clock or network."""

from __future__ import annotations

from .messages import HealthMessage, MusicMessage, StateMessage


def what_matters(message: HealthMessage | StateMessage | MusicMessage) -> object:
    """The part of a message whose change is worth telling before `repeat_s` is over."""
    if isinstance(message, HealthMessage):
        # The rate itself drifts while a budget is sought.
        return message.reasons, message.camera.on, None if message.pace is None else message.pace.limited_by
    if isinstance(message, MusicMessage):
        song = message.song
        segment = None if song is None else (song.song_id, song.start_s)
        return segment, message.paused, message.muted, message.volume
    # Left out is what drifts from frame to frame though nothing happens: clocks, rates, the third decimal, and the
    # uncertainty, which in a still room rises and falls with the age of what the scene model last said.
    axes = tuple(
        None if axis is None else (round(axis.value, 2), axis.held) for axis in (message.valence, message.arousal)
    )
    seen = (message.face.present, message.face.count, message.sources)
    return axes, seen, message.mood, message.stale, message.mode, message.camera_on, message.manual_mood
