"""Flags over environment variables over a TOML file over the defaults, each value known by where it came from."""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from emomusic_edge.config.describe import ENV_NESTED, ENV_PREFIX, known_settings, section_models, toml_value
from emomusic_edge.config.settings import Settings
from emomusic_edge.config.toml_file import TomlFile
from emomusic_edge.errors import ConfigError
from emomusic_edge.paths import default_config_file

_MEND = "Correct it there; `emomusic-edge config example` prints every setting with its meaning and bounds."
_FOUND_MAX_CHARS = 60
_SHOWN_PROBLEMS = 12
_NAME_MAX_CHARS = 80  # the longest name of a setting has some forty


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """The effective settings.

    Attributes:
        settings: validated.
        origins: for each setting that was given, by key: the file and line, the variable, or the flag it came from.
        file: the configuration file that was read; None without one.
    """

    settings: Settings
    origins: Mapping[str, str]
    file: Path | None


@dataclass(frozen=True, slots=True)
class _Given:
    value: object
    origin: str


class _Origins(Mapping[str, str]):
    """Where each value came from; a file is searched for its line when that is asked."""

    def __init__(self, given: Mapping[str, _Given], toml: TomlFile | None) -> None:
        self._given = given
        self._toml = toml

    def __getitem__(self, key: str) -> str:
        return _located(key, self._given[key], self._toml)

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


# A file of fifty thousand slips gets a dozen told, and the rest counted: each is worded only when it is shown.
_Problem = Callable[[], str]


def load_config(
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The effective settings; see load_with_origins."""
    return load_with_origins(file, overrides, environ).settings


def load_with_origins(
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """Read, merge and validate all settings.

    Args:
        file: the TOML file, which must exist; None reads paths.default_config_file() if there is one.
        overrides: values of flags by key (`{"music.dwell_s": 6.0}`); None means that the flag was not given.
        environ: the environment variables; None reads this process's. An empty value counts as not given.

    Raises:
        ConfigError: the file cannot be read or is no TOML; a key or variable is unknown; a value does not fit. All
            such problems are in the one message, each with where it came from.
    """
    if file is None and default_config_file().is_file():
        file = default_config_file()
    problems: list[_Problem] = []
    # The later layer wins.
    given: dict[str, _Given] = {}
    toml = TomlFile.read(file) if file is not None else None
    if toml is not None:
        given |= _from_file(toml, problems)
    given |= _from_environment(os.environ if environ is None else environ, problems)
    given |= _from_flags(overrides or {}, problems)
    _refuse(problems)

    nested: dict[str, dict[str, object]] = {}
    for key, item in given.items():
        section, name = key.split(".")
        nested.setdefault(section, {})[name] = item.value
    try:
        settings = Settings.model_validate(nested)
    except ValidationError as error:
        _refuse([functools.partial(_problem, details, given, toml) for details in error.errors(include_url=False)])
        raise
    return LoadedConfig(settings, _Origins(given, toml), file)


def load_what_fits(
    file: Path | None = None,
    overrides: Mapping[str, object] | None = None,
    environ: Mapping[str, str] | None = None,
) -> LoadedConfig:
    """What of all settings fits, where load_with_origins refuses the whole; for who looks into what is wrong.

    Args:
        file: as there; one that is no TOML gives nothing.
        overrides: as there.
        environ: as there.
    """
    if file is None and default_config_file().is_file():
        file = default_config_file()
    told: list[_Problem] = []
    toml: TomlFile | None = None
    if file is not None:
        with contextlib.suppress(ConfigError):
            toml = TomlFile.read(file)
    given = _from_file(toml, told) if toml is not None else {}
    given |= _from_environment(os.environ if environ is None else environ, told)
    given |= _from_flags(overrides or {}, told)
    settings, nested, origins = Settings(), dict[str, dict[str, object]](), dict[str, str]()
    # One after the other; some fit only beside others that may come later (a password beside its user).
    for key, item in [*given.items(), *given.items()]:
        section, name = key.split(".")
        tried = {**nested, section: {**nested.get(section, {}), name: item.value}}
        with contextlib.suppress(ValidationError):
            settings = Settings.model_validate(tried)
            nested, origins[key] = tried, _located(key, item, toml)
    return LoadedConfig(settings, MappingProxyType(origins), file)


def parse_assignments(assignments: Iterable[str]) -> dict[str, object]:
    """`["mqtt.port=1884"]` as overrides.

    Raises:
        ConfigError: one holds no `=`, or sets a secret: the process list would show it.
    """
    values: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(
                f"A setting was given as {_short(assignment)}, expected KEY=VALUE.",
                mend="For example: --set music.dwell_s=40",
            )
        if (known := known_settings().get(key.strip())) and known.secret:
            raise ConfigError(
                f"{key.strip()} was given on the command line, where every user of this machine can read it.",
                mend=f"Use mqtt.password_file, or the environment variable {known.variable}.",
            )
        values[key.strip()] = value.strip()
    return values


def _from_file(toml: TomlFile, problems: list[_Problem]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for section, table in toml.content.items():
        if section not in section_models():
            problems.append(functools.partial(_unknown, section, section_models(), toml, section))
        elif not isinstance(table, dict):
            problems.append(functools.partial(_no_table, section, table, toml))
        else:
            for name, value in table.items():
                key = f"{section}.{name}"
                if key not in known_settings():
                    problems.append(functools.partial(_unknown, key, known_settings(), toml, section, name))
                else:
                    given[key] = _Given(value, str(toml.path))
    return given


def _from_environment(environ: Mapping[str, str], problems: list[_Problem]) -> dict[str, _Given]:
    known = {setting.variable: key for key, setting in known_settings().items()}
    variables = {name: value for name, value in environ.items() if name.upper().startswith(ENV_PREFIX)}
    for name in [name for name in variables if name.upper() not in known]:
        problems.append(functools.partial(_unknown, name, known, "an environment variable"))
        del variables[name]
    variables = {name: value for name, value in variables.items() if value}
    if not variables:
        return {}
    # pydantic-settings costs a fifth of a second to import, and most runs set no variable.
    from emomusic_edge.config import environment

    spelled = {known[name.upper()]: name for name in variables}
    return {
        f"{section}.{field}": _Given(value, spelled[f"{section}.{field}"])
        for section, values in environment.values_of(variables).items()
        for field, value in values.items()
    }


def _from_flags(overrides: Mapping[str, object], problems: list[_Problem]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    for key, value in overrides.items():
        if key not in known_settings():
            problems.append(functools.partial(_unknown, key, known_settings(), "given as a flag"))
        elif value is not None:
            given[key] = _Given(value, "a flag")
    return given


def _no_table(section: str, found: object, toml: TomlFile) -> str:
    return f"{section}: found {_kind(found)}, expected a table, [{section}] ({toml.place(section)})."


def _unknown(name: str, known: Iterable[str], given: TomlFile | str, *key: str) -> str:
    """An unknown name and the nearest known one; never its value, which may be a secret under a slip of the key.

    Args:
        name: the setting's, section's or variable's.
        known: the names that there are.
        given: where it was given: the file that holds it under `key`, or in words.
        key: of the file.
    """
    place = given if isinstance(given, str) else given.place(*key)
    candidates = {candidate.upper().removeprefix(ENV_PREFIX): candidate for candidate in known}
    sought = name[:_NAME_MAX_CHARS].upper().removeprefix(ENV_PREFIX)
    nearest = difflib.get_close_matches(sought, candidates, n=1, cutoff=0.7)
    if not nearest:
        # The right name in the wrong section.
        leaf = sought.rsplit(".", 1)[-1].rsplit(ENV_NESTED, 1)[-1]
        nearest = [candidate for candidate in candidates if candidate.endswith((f".{leaf}", f"{ENV_NESTED}{leaf}"))][:1]
    text = f"{_short(name, quote=False)} is not a setting"
    if nearest:
        return f"{text}; did you mean {candidates[nearest[0]]}? ({place})"
    if name.upper().startswith(ENV_PREFIX):
        text += f", expected {ENV_PREFIX}SECTION{ENV_NESTED}NAME"
    return f"{text} ({place})."


def _problem(details: ErrorDetails, given: Mapping[str, _Given], toml: TomlFile | None) -> str:
    key = ".".join(str(part) for part in details["loc"][:2])
    setting = known_settings().get(key)
    cause = details.get("ctx", {}).get("error")
    if setting is None:
        # Of a section or of two: the message names the keys; the input is not shown, for it may hold a secret.
        text = f"{key}: {cause or details['msg']}" if key else str(cause or details["msg"])
        origins = {_located(k, item, toml): None for k, item in given.items() if k in text or k.startswith(f"{key}.")}
        return f"{text} (from {', '.join(origins)})." if origins else f"{text}."
    found = "a value that is not shown" if setting.secret else _short(details["input"])
    text = f"{key}: found {found}, expected {setting.expected}"
    if cause is not None and not setting.secret:
        text += f" ({cause})"
    return f"{text} (from {_located(key, given[key], toml)})." if key in given else f"{text}."


def _located(key: str, item: _Given, toml: TomlFile | None) -> str:
    if toml is not None and item.origin == str(toml.path):
        return toml.place(*key.split("."))
    return item.origin


def _short(value: object, *, quote: bool = True) -> str:
    if isinstance(value, (dict, list)):
        return _kind(value)
    if isinstance(value, bool):
        return toml_value(value)
    try:
        text = f'"{value}"' if isinstance(value, str) and quote else str(value)
    except ValueError:
        # Python refuses to write out whole numbers of thousands of digits.
        return "a number of thousands of digits"
    text = "".join(c if c.isprintable() else "�" for c in text)
    return text if len(text) <= _FOUND_MAX_CHARS else text[: _FOUND_MAX_CHARS - 1] + "…"


def _kind(value: object) -> str:
    kinds = {dict: "a table", list: "a list", str: "text", bool: "true or false", int: "a number", float: "a number"}
    return kinds.get(type(value), f"a {type(value).__name__}")


def _refuse(problems: list[_Problem]) -> None:
    if len(problems) == 1:
        raise ConfigError(problems[0](), mend=_MEND)
    if problems:
        shown = [problem() for problem in problems[:_SHOWN_PROBLEMS]]
        rest = [f"… and {len(problems) - len(shown)} more."] if len(problems) > len(shown) else []
        lines = "\n".join(f"- {problem}" for problem in [*shown, *rest])
        raise ConfigError(f"{len(problems)} settings do not fit:\n{lines}", mend=_MEND.replace("it", "each", 1))
