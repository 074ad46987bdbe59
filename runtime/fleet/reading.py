"""What other devices tell, as far as somebody who looks after them needs it; nothing in it is believed unread.

Another device may run another version, and whoever may write to the broker may write anything. So unknown fields are
passed over and missing ones are allowed, but kinds, bounds and lengths are held to, and text loses what could steer a
terminal.
"""

from __future__ import annotations

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from emomusic_edge.runtime.view.terminal_text import printable

MAX_TEXT_CHARACTERS = 160
MAX_ENTRIES = 16
"""Parts with a reason, and models, that are kept of one device."""

_Value = TypeVar("_Value")


def told_text(text: str) -> str:
    """Text from outside on one line, fit for a terminal, cut to MAX_TEXT_CHARACTERS."""
    if len(text) > MAX_TEXT_CHARACTERS:
        text = text[: MAX_TEXT_CHARACTERS - 1] + "…"
    return printable(text)


def _first(entries: dict[str, _Value]) -> dict[str, _Value]:
    return dict(list(entries.items())[:MAX_ENTRIES])


_Told = Annotated[str, AfterValidator(told_text)]
# Beyond these a number is a mistake, and would not fit into a column.
_Rate = Annotated[float, Field(ge=0.0, le=1000.0)]
_Seconds = Annotated[float, Field(ge=0.0, le=1e10)]
_Celsius = Annotated[float, Field(ge=-100.0, le=300.0)]


class _Seen(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True, allow_inf_nan=False)


class ModelSeen(_Seen):
    """A model: what people call it, and what it runs on."""

    name: _Told = ""
    provider: _Told = ""


class PaceSeen(_Seen):
    """How fast the device works, in frames a second, and what keeps it from more."""

    frames_per_second: _Rate | None = None
    limited_by: _Told = ""


class ThermalSeen(_Seen):
    """The warmest sensor in degrees Celsius; None where nobody reads one."""

    temperature_c: _Celsius | None = None


class HealthSeen(_Seen):
    """Of `health`: the version, for how many seconds it has run, what is wrong by part, and what the models run on."""

    version: _Told | None = None
    uptime_s: _Seconds | None = None
    reasons: Annotated[dict[_Told, _Told], AfterValidator(_first)] = Field(default_factory=dict)
    models: Annotated[dict[_Told, ModelSeen], AfterValidator(_first)] = Field(default_factory=dict)
    pace: PaceSeen | None = None
    thermal: ThermalSeen | None = None


class StateSeen(_Seen):
    """Of `state`: the mode, the camera, the rate, and the word for the mood, which is an estimate."""

    mode: _Told = ""
    camera_on: bool | None = None
    mood: _Told | None = None
    stale: bool = False
    frames_per_second: _Rate | None = None


class SongSeen(_Seen):
    """Of `music.song`: its title."""

    title: _Told = ""


class MusicSeen(_Seen):
    """Of `music`: what plays."""

    song: SongSeen | None = None
    paused: bool = False
    muted: bool = False


class ClaimSeen(_Seen):
    """Of `claim`: how long this run of the device has lasted, in seconds."""

    uptime_s: _Seconds


class ResultSeen(_Seen):
    """The answer to a command."""

    ok: bool
    reason: _Told = ""
