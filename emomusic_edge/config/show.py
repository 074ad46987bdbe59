"""Settings written out: the effective ones with where each came from, the documented example, the reference page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emomusic_edge.config.describe import Setting, known_settings, section_models, toml_value
from emomusic_edge.config.load import LoadedConfig

MASK = "********"

_EXAMPLE_HEAD = """\
# The settings of emomusic-edge. Every line that sets something is commented out and shows the default, or an example
# where there is none: take away the "#" to change it. Left out means the default.
#
# Any setting may also come from the environment: mqtt.host is EMOMUSIC_MQTT__HOST. A flag beats the environment, the
# environment beats this file. `emomusic-edge config show` prints what holds and where it came from.
"""

_REFERENCE_HEAD = """\
# Configuration

<!-- Written by `emomusic-edge config reference > docs/configuration.md`; a test holds it to the code. -->

Four layers, the first that gives a setting wins:

1. flags of a command (`--dwell 40`; `emomusic-edge config show --set music.dwell_s=40` tries one out),
2. environment variables: `EMOMUSIC_`, the section, two underscores, the name: `mqtt.host` is `EMOMUSIC_MQTT__HOST`
   (an empty value counts as not given),
3. a TOML file: the one that `--config` names, else `$XDG_CONFIG_HOME/emomusic-edge/config.toml` where it exists
   (`emomusic-edge config path` prints it),
4. the defaults below.

`emomusic-edge config example` prints a documented file to start from, `emomusic-edge config show` what holds and where
it came from. A key or an `EMOMUSIC_` variable that is not listed here is refused, with the nearest name that is. `~` in
a path is the home folder; a relative path starts at the folder the command runs in. A secret is never printed.
"""


def to_toml(loaded: LoadedConfig) -> str:
    """The effective settings as TOML, which read again gives the same settings, secrets left out.

    A comment on the line says where a value that is no default came from.
    """
    lines = [f"# read from {loaded.file}" if loaded.file is not None else "# no configuration file was read"]
    for section in section_models():
        lines += ["", f"[{section}]"]
        for setting, value in _of_section(loaded, section):
            origin = loaded.origins.get(setting.key)
            if value is None:
                text = f"# {setting.name} is unset: {setting.about.unset or 'none'}"
            elif setting.secret:
                text = f'# {setting.name} = "{MASK}"'
            else:
                text = f"{setting.name} = {toml_value(value)}"
            lines.append(text if origin is None else f"{text}  # from {_one_line(origin)}")
    return "\n".join(lines) + "\n"


def to_json(loaded: LoadedConfig) -> str:
    """The effective settings as JSON: `file`, `settings` by section, `origins` by key; secrets masked."""
    settings: dict[str, dict[str, Any]] = {}
    for section in section_models():
        settings[section] = {
            setting.name: MASK
            if setting.secret and value is not None
            else str(value)
            if isinstance(value, Path)
            else value
            for setting, value in _of_section(loaded, section)
        }
    document = {
        "file": None if loaded.file is None else str(loaded.file),
        "settings": settings,
        "origins": dict(loaded.origins),
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def example_toml() -> str:
    """A configuration file with every setting, its meaning, bounds and unit; as it stands it sets nothing."""
    lines = [_EXAMPLE_HEAD]
    for section, model in section_models().items():
        lines += [f"# {_heading(model)}", f"[{section}]", ""]
        for setting in _settings_of(section):
            lines += [
                f"# {setting.meaning.replace('`', '')}",
                f"# {setting.expected}; {_default_words(setting)}".replace("`", ""),
                f"# {setting.name} = {setting.example}",
                "",
            ]
    return "\n".join(lines)


def reference_markdown() -> str:
    """The reference page, docs/configuration.md."""
    lines = [_REFERENCE_HEAD]
    for section, model in section_models().items():
        lines += [f"## [{section}]", "", _heading(model), ""]
        lines += ["| setting | meaning | takes | default |", "|---|---|---|---|"]
        for setting in _settings_of(section):
            default = setting.default_text
            shown = default if setting.about.unset or setting.field.default is None else f"`{default}`"
            lines.append(f"| `{setting.name}` | {setting.meaning} | {setting.expected} | {shown} |")
        lines.append("")
    return "\n".join(lines)


def _settings_of(section: str) -> list[Setting]:
    return [setting for setting in known_settings().values() if setting.section == section]


def _of_section(loaded: LoadedConfig, section: str) -> Iterator[tuple[Setting, Any]]:
    values = getattr(loaded.settings, section)
    for setting in _settings_of(section):
        yield setting, getattr(values, setting.name)


def _heading(model: type[Any]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _default_words(setting: Setting) -> str:
    if setting.optional:
        return f"unset: {setting.about.unset or 'none'}"
    return f"default: {setting.default_text}"


def _one_line(origin: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in origin)
