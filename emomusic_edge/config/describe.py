"""What a setting expects, in words, read off its type, bounds and default: for messages, the example and the docs."""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

import annotated_types
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from emomusic_edge.config.fields import About, Section
from emomusic_edge.config.settings import Settings

ENV_PREFIX = "EMOMUSIC_"
ENV_NESTED = "__"

_UNIT_OF_ENDING = {
    "_s": "seconds",
    "_px": "pixels",
    "_per_second": "frames a second",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of Settings.

    Attributes:
        section, name: where it stands; `key` is both: `mqtt.port`.
        field: pydantic's record of it.
        about: what the type and bounds do not say.
    """

    section: str
    name: str
    field: FieldInfo
    about: About

    @property
    def key(self) -> str:
        """`mqtt.port`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """`EMOMUSIC_MQTT__PORT`."""
        return f"{ENV_PREFIX}{self.section}{ENV_NESTED}{self.name}".upper()

    @property
    def meaning(self) -> str:
        """One line."""
        return self.field.description or ""

    @property
    def unit(self) -> str:
        """In words; empty where the value has none."""
        if self.about.unit:
            return self.about.unit
        return next((unit for ending, unit in _UNIT_OF_ENDING.items() if self.name.endswith(ending)), "")

    @property
    def optional(self) -> bool:
        """Whether it may have no value."""
        return type(None) in get_args(self.field.annotation)

    @property
    def secret(self) -> bool:
        """Whether its value is never shown."""
        return SecretStr in (self.field.annotation, *get_args(self.field.annotation))

    @property
    def expected(self) -> str:
        """What it takes, to follow the word "expected"."""
        text = self.about.form or _expected_of(_without_none(self.field.annotation), self.field.metadata)
        return f"{text} ({self.unit})" if self.unit and not self.about.form else text

    @property
    def default_text(self) -> str:
        """The default as TOML, or in words where it is none or differs between machines."""
        if self.about.unset:
            return self.about.unset
        if self.field.default is None:
            return "none"
        return toml_value(self.field.default)

    @property
    def example(self) -> str:
        """A value as TOML: the default where it is one."""
        return self.about.example or toml_value(self.field.default)


@functools.cache
def section_models() -> dict[str, type[Section]]:
    """The sections of Settings by name, in their order."""
    return {name: _section_of(field) for name, field in Settings.model_fields.items()}


@functools.cache
def known_settings() -> dict[str, Setting]:
    """All settings by key, in their order."""
    return {setting.key: setting for setting in _walk()}


def toml_value(value: object) -> str:
    """A scalar setting as a TOML value.

    Raises:
        TypeError: TOML has no such value.
    """
    if isinstance(value, Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (str, Path)):
        escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
        return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
    raise TypeError(f"{type(value).__name__} is no TOML value")


def _walk() -> Iterator[Setting]:
    for section, model in section_models().items():
        for name, field in model.model_fields.items():
            about = next((m for m in field.metadata if isinstance(m, About)), About())
            yield Setting(section, name, field, about)


def _section_of(field: FieldInfo) -> type[Section]:
    model = field.annotation
    assert isinstance(model, type)
    assert issubclass(model, Section)
    return model


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        return next(arg for arg in get_args(annotation) if arg is not type(None))
    return annotation


def _expected_of(annotation: Any, metadata: list[Any]) -> str:
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "one of " + ", ".join(member.value for member in annotation)
    if annotation is bool:
        return "true or false"
    if annotation in (int, float):
        return ("a whole number" if annotation is int else "a number") + _bounds(metadata)
    if annotation is Path:
        return "a path"
    return "text"


def _bounds(metadata: list[Any]) -> str:
    low: Any = None
    high: Any = None
    above = False
    for item in metadata:
        if isinstance(item, annotated_types.Ge):
            low = item.ge
        elif isinstance(item, annotated_types.Gt):
            low, above = item.gt, True
        elif isinstance(item, annotated_types.Le):
            high = item.le
    if low is None or high is None:
        return ""
    return f" above {low:.12g} and up to {high:.12g}" if above else f" from {low:.12g} to {high:.12g}"
