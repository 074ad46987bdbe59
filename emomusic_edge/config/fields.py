"""The kinds of value a setting may have, and the base that every section shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, field_validator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class About:
    """What a field's type and bounds do not say.

    Attributes:
        unit: the unit, where the name's ending does not give it (`_s`, `_px` do).
        unset: what holds while the setting has no value, or where its default comes from.
        example: a value to show, as TOML, where the default is none or differs between machines.
        form: what to call the expected value in a message, where type and bounds make no good sentence.
    """

    unit: str = ""
    unset: str = ""
    example: str = ""
    form: str = ""


class Section(BaseModel):
    """A table of the configuration file: frozen, no unknown keys, no NaN or infinity, no input in its errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        # pydantic takes true for 1
        annotation = cls.model_fields[info.field_name or ""].annotation
        if isinstance(value, bool) and annotation is not bool and bool not in get_args(annotation):
            raise PydanticCustomError("not_a_truth_value", "a truth value does not fit here")
        return value


def _expand_home(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as cause:
        raise ValueError(f"the home folder in {path} cannot be found") from cause


def _expand_home_text(text: str) -> str:
    return str(_expand_home(Path(text))) if text.startswith("~") else text


def _sound_path(value: Any) -> Any:
    text = str(value) if isinstance(value, Path) else value
    if isinstance(text, str):
        if not text or _CONTROL.search(text):
            raise ValueError("a path is neither empty nor holds control characters")
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ValueError("a path is UTF-8") from None
    return value


def _as_text(value: Any) -> Any:
    return str(value) if isinstance(value, (int, Path)) else value


def _path_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value


Text = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""One line of text."""

FilePath = Annotated[Path, BeforeValidator(_sound_path), AfterValidator(_expand_home)]
"""A path; `~` is the home folder; a relative one starts at the working folder. It need not exist."""

NameOrPath = Annotated[Text, BeforeValidator(_path_as_text), AfterValidator(_expand_home_text)]
"""A name the package knows, or a path (it holds a `/`); `~` is the home folder."""

CameraName = Annotated[Text, BeforeValidator(_as_text), AfterValidator(_expand_home_text)]
"""`auto`, a camera's index (a number will do), a path, or a name under /dev/v4l/by-id."""

PersonName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
"""What a person's calibration is called: it is a file's name too."""
