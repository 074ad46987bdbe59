"""A TOML file as parsed, with the line that each key stands on."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emomusic_edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

# The example file with every setting in it has 20 KB.
MAX_BYTES = 64 * 1024

# Looking for a line parses its section up to it: so many lines that merely mention the name are tried, of sections
# that are not longer than this.
_MAX_CANDIDATES = 8
_MAX_CHARS = 16 * 1024


@dataclass(frozen=True, slots=True)
class TomlFile:
    """What a configuration file holds.

    Attributes:
        path: as it was given.
        text: the file itself.
        content: the parsed tables, not validated.
    """

    path: Path
    text: str
    content: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> TomlFile:
        """Read and parse a file.

        Raises:
            ConfigError: it is missing, unreadable, too large, not UTF-8, or no TOML.
        """
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as cause:
            raise ConfigError(
                f"The configuration file {path} cannot be read: {cause.strerror or cause}.",
                mend="Name the file in that folder."
                if isinstance(cause, IsADirectoryError)
                else f"Name one that exists, or make it: emomusic-edge config example > {path}",
            ) from cause
        except ValueError as cause:
            raise ConfigError(
                f"The name of the configuration file is no path: {cause}.", mend="Name one that exists."
            ) from cause
        if len(data) > MAX_BYTES:
            raise ConfigError(
                f"The configuration file {path} is larger than {MAX_BYTES} bytes, expected a few thousand.",
                mend="Is it the right file?",
            )
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as cause:
            line = data[: cause.start].count(b"\n") + 1
            raise ConfigError(
                f"The configuration file {path} is not UTF-8 text: a wrong byte stands on line {line}.",
                mend="Save it as UTF-8.",
            ) from cause
        try:
            return cls(path, text, tomllib.loads(text))
        except (ValueError, RecursionError) as cause:
            reason = "it is nested too deeply" if isinstance(cause, RecursionError) else str(cause)
            raise ConfigError(
                f"The configuration file {path} is not TOML: {reason}.",
                mend='Text stands in quotes: host = "localhost"; a section in brackets: [mqtt].',
            ) from None

    def place(self, *key: str) -> str:
        """`FILE, line N` of a key, or `FILE` where the line cannot be told."""
        line = self._line(key)
        return str(self.path) if line is None else f"{self.path}, line {line}"

    def _line(self, key: tuple[str, ...]) -> int | None:
        """The first line up to which the key's section, parsed, holds it: the parser itself is asked, no second one."""
        if "\n" in key[-1]:
            return None
        lines = self.text.splitlines(keepends=True)
        candidates = [number for number, line in enumerate(lines, 1) if key[-1] in line]
        for number in candidates[:_MAX_CANDIDATES]:
            # From the table's head on, so that a long file is not parsed again for each key; from its start without.
            heads = (at for at in range(number - 1, -1, -1) if lines[at].lstrip().startswith("["))
            begin = next(heads, 0)
            if sum(map(len, lines[begin:number])) > _MAX_CHARS:
                continue
            try:
                content: Any = tomllib.loads("".join(lines[begin:number]))
            except (ValueError, RecursionError):
                continue
            for part in key:
                content = content.get(part) if isinstance(content, dict) else None
            if content is not None:
                return number
        return None
