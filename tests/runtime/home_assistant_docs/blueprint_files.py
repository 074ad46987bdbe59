"""The blueprints of docs/blueprints, read with their `!input` tags as Home Assistant reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "blueprints"
FILES = sorted(FOLDER.glob("*.yaml"))


@dataclass(frozen=True)
class Input:
    """A place that an input's value goes to."""

    name: str


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, as Home Assistant's loader warns of it."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key stands twice in {keys}"
        return super().construct_mapping(node, deep)


_Loader.add_constructor("!input", lambda _, node: Input(node.value))


def load(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(file.read_text(encoding="utf-8"), _Loader)
    return loaded


def walk(value: Any) -> Iterator[Any]:
    """Every value within, the outer before the inner."""
    yield value
    if isinstance(value, dict):
        for inner in value.values():
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


def templates(loaded: dict[str, Any]) -> list[str]:
    """All texts that Home Assistant renders."""
    return [text for part in steps(loaded).values() for text in walk(part) if isinstance(text, str) and "{{" in text]


def steps(loaded: dict[str, Any]) -> dict[str, Any]:
    """The automation without its description for people."""
    return {name: part for name, part in loaded.items() if name != "blueprint"}
