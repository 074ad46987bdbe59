"""What may be asked over MQTT: a topic's name and its payload in, a command or one clear line of refusal out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

from pydantic import ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json

from emomusic_edge.affect import FINDINGEMO
from emomusic_edge.contracts import (
    Command,
    Dislike,
    Forget,
    Like,
    Mode,
    Pause,
    Resume,
    SetCamera,
    SetMode,
    SetMood,
    SetVolume,
    Skip,
)
from emomusic_edge.errors import EmomusicError

from .messages import Message

MAX_PAYLOAD_BYTES = 16 * 1024
_SHOWN_CHARACTERS = 40


class CommandError(EmomusicError):
    """A command cannot be understood; the message is one line, fit to be sent back and logged."""


class CommandPayload(Message):
    """Base of the payloads; the docstring of each says for a person what it does.

    Attributes:
        expected: what to send, for the refusal.
        bare: the field that a payload without braces stands for, as Home Assistant's select, number and switch
            entities send it; None where nothing but `{}` or nothing at all is sent.
        examples: payloads to show; each is understood.
    """

    expected: ClassVar[str] = "an empty payload or `{}`"
    bare: ClassVar[str | None] = None
    examples: ClassVar[tuple[str, ...]] = ("",)

    def command(self) -> Command:
        """The command that the payload asks for."""
        raise NotImplementedError


class SkipPayload(CommandPayload):
    """Go to another song now."""

    def command(self) -> Command:
        """`Skip()`."""
        return Skip()


class PausePayload(CommandPayload):
    """Fade the music out and close the camera; outlasts a restart."""

    def command(self) -> Command:
        """`Pause()`."""
        return Pause()


class ResumePayload(CommandPayload):
    """Undo `pause`."""

    def command(self) -> Command:
        """`Resume()`."""
        return Resume()


class CameraPayload(CommandPayload):
    """Open or close the camera; the music goes on. Outlasts a restart."""

    expected: ClassVar[str] = '`ON`, `OFF`, `{"on": true}` or `{"on": false}`'
    bare: ClassVar[str | None] = "on"
    examples: ClassVar[tuple[str, ...]] = ("OFF", '{"on": true}')

    on: bool = Field(description="True opens it.")

    def command(self) -> Command:
        """`SetCamera(on)`."""
        return SetCamera(self.on)


class PlayingPayload(CommandPayload):
    """Pause or resume, as one switch: OFF is `pause`, ON is `resume`."""

    expected: ClassVar[str] = '`ON`, `OFF`, `{"playing": true}` or `{"playing": false}`'
    bare: ClassVar[str | None] = "playing"
    examples: ClassVar[tuple[str, ...]] = ("OFF", "ON")

    playing: bool = Field(description="False pauses.")

    def command(self) -> Command:
        """`Resume()` or `Pause()`."""
        return Resume() if self.playing else Pause()


class ModePayload(CommandPayload):
    """Change the mode: what the music does with the feeling."""

    expected: ClassVar[str] = f'one of {", ".join(mode.value for mode in Mode)}, as `calm` or `{{"mode": "calm"}}`'
    bare: ClassVar[str | None] = "mode"
    examples: ClassVar[tuple[str, ...]] = ("calm", '{"mode": "manual"}')

    mode: Mode = Field(description="The mode to change to.")

    def command(self) -> Command:
        """`SetMode(mode)`."""
        return SetMode(self.mode)


class VolumePayload(CommandPayload):
    """Set the volume."""

    expected: ClassVar[str] = 'a number from 0 to 1, as `0.4` or `{"volume": 0.4}`'
    bare: ClassVar[str | None] = "volume"
    examples: ClassVar[tuple[str, ...]] = ("0.4", '{"volume": 0.4}')

    volume: float = Field(ge=0.0, le=1.0, description="From silent to full.")

    def command(self) -> Command:
        """`SetVolume(volume)`."""
        return SetVolume(self.volume)


class MoodPayload(CommandPayload):
    """Set the mood that mode `manual` plays to; an axis that is left out stays as it is."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    expected: ClassVar[str] = (
        f"valence from {FINDINGEMO.low.valence:g} to {FINDINGEMO.high.valence:g}, "
        f"arousal from {FINDINGEMO.low.arousal:g} to {FINDINGEMO.high.arousal:g}, or one of them, "
        'as `{"valence": 1.5, "arousal": 2}` or `{"valence": 1}`'
    )
    examples: ClassVar[tuple[str, ...]] = ('{"valence": 1.5, "arousal": 2}', '{"valence": 1}')

    valence: float | None = Field(
        default=None,
        ge=FINDINGEMO.low.valence,
        le=FINDINGEMO.high.valence,
        description="From negative to positive, on FindingEmo's scale.",
    )
    arousal: float | None = Field(
        default=None,
        ge=FINDINGEMO.low.arousal,
        le=FINDINGEMO.high.arousal,
        description="From calm to excited, on FindingEmo's scale.",
    )

    @model_validator(mode="after")
    def _something_is_set(self) -> MoodPayload:
        if self.valence is None and self.arousal is None:
            raise PydanticCustomError("missing_mood", "neither valence nor arousal is set")
        return self

    def command(self) -> Command:
        """`SetMood(valence, arousal)`."""
        return SetMood(self.valence, self.arousal)


class LikePayload(CommandPayload):
    """The song that plays is welcome; it comes more often where it fits."""

    def command(self) -> Command:
        """`Like()`."""
        return Like()


class DislikePayload(CommandPayload):
    """The song that plays is not welcome; it plays on (`skip` ends it) and comes more seldom."""

    def command(self) -> Command:
        """`Dislike()`."""
        return Dislike()


class ForgetPayload(CommandPayload):
    """Wipe what likes, dislikes and skips taught, and the history."""

    def command(self) -> Command:
        """`Forget()`."""
        return Forget()


COMMANDS: Mapping[str, type[CommandPayload]] = MappingProxyType(
    {
        "skip": SkipPayload,
        "pause": PausePayload,
        "resume": ResumePayload,
        "playing": PlayingPayload,
        "camera": CameraPayload,
        "mode": ModePayload,
        "volume": VolumePayload,
        "mood": MoodPayload,
        "like": LikePayload,
        "dislike": DislikePayload,
        "forget": ForgetPayload,
    }
)
"""By topic name: the command `volume` is heard on `emomusic/<node>/cmd/volume`."""


def parse_command(name: str, payload: bytes) -> Command:
    """Read a command.

    Args:
        name: the last level of the topic, e.g. `volume`.
        payload: JSON in UTF-8, at most MAX_PAYLOAD_BYTES; for commands of one value also the bare value.

    Raises:
        CommandError: the command is not known, or the payload is not what it expects.
    """
    model = COMMANDS.get(name)
    if model is None:
        raise CommandError(f"there is no command {_shown(name)}; {_nearest(name)}")
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise CommandError(f"{name}: the payload has {len(payload)} bytes; at most {MAX_PAYLOAD_BYTES} are read")
    try:
        text = payload.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise CommandError(f"{name}: the payload is not UTF-8 (byte {error.start})") from error
    try:
        return model.model_validate_json(_as_object(name, text, model)).command()
    except ValidationError as error:
        raise CommandError(f"{name}: {_complaint(error)}; expected {model.expected}") from error


def _as_object(name: str, text: str, model: type[CommandPayload]) -> str:
    """The payload as the text of a JSON object, bare values wrapped."""
    if not text and model.bare is None:
        return "{}"
    try:
        value = from_json(text)
    except ValueError as error:
        # An opening brace was meant as JSON; a word, as a mode's name is, never was.
        if model.bare is None or not text or text[0] in "{[":
            raise CommandError(f"{name}: the payload {_shown(text)} is not JSON; expected {model.expected}") from error
        value = text
    if isinstance(value, dict):
        return text
    if model.bare is None:
        raise CommandError(f"{name}: found {_shown(text)}; expected {model.expected}")
    if model.model_fields[model.bare].annotation is bool and isinstance(value, str) and value.upper() in ("ON", "OFF"):
        value = value.upper() == "ON"
    return json.dumps({model.bare: value})


def _complaint(error: ValidationError) -> str:
    """The first thing that is wrong, in a few words."""
    first = error.errors(include_url=False)[0]
    if first["type"] == "missing_mood":
        return str(first["msg"])
    field = ".".join(str(part) for part in first["loc"]) or "payload"
    if first["type"] == "missing":
        return f"{_shown(field)} is missing"
    if first["type"] == "extra_forbidden":
        return f"{_shown(field)} is not a field of it"
    return f"{_shown(field)} is {_shown(first['input'])}"


def _nearest(name: str) -> str:
    # The match costs the product of both lengths, and a topic may be 64 KiB long.
    close = difflib.get_close_matches(name[:_SHOWN_CHARACTERS], COMMANDS, n=1, cutoff=0.5)
    return f"did you mean `{close[0]}`?" if close else f"there are {', '.join(COMMANDS)}"


def _shown(found: object) -> str:
    """What was sent, on one line, in ASCII, cut short: it goes to the log and back over MQTT."""
    text = ascii(found)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
