"""What may be asked of the running service, whoever asks (MQTT, a keyboard, a test)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .values import Mode


@dataclass(frozen=True, slots=True)
class Skip:
    """Go to another song now, dwell or not."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Fade the music out and close the camera."""


@dataclass(frozen=True, slots=True)
class Resume:
    """Undo Pause."""


@dataclass(frozen=True, slots=True)
class SetCamera:
    """Close (on=False) or open the camera; the music goes on."""

    on: bool


@dataclass(frozen=True, slots=True)
class SetMode:
    """Change the mode."""

    mode: Mode


@dataclass(frozen=True, slots=True)
class SetVolume:
    """Set the volume, 0..1."""

    volume: float


@dataclass(frozen=True, slots=True)
class SetMood:
    """Set the mood that mode `manual` plays to, in FindingEmo units; an axis that is None stays as it is."""

    valence: float | None = None
    arousal: float | None = None


@dataclass(frozen=True, slots=True)
class Like:
    """The song that plays is welcome."""


@dataclass(frozen=True, slots=True)
class Dislike:
    """The song that plays is not welcome; it plays on (Skip ends it)."""


@dataclass(frozen=True, slots=True)
class Forget:
    """Wipe all likes, dislikes and skips that were counted."""


Command: TypeAlias = Skip | Pause | Resume | SetCamera | SetMode | SetVolume | SetMood | Like | Dislike | Forget
