"""The pages that people read, taken apart: their texts, code and tables."""

from __future__ import annotations

import re
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.md"), REPO / "deam_index" / "data" / "README.md"])
NAMES = [page.relative_to(REPO).as_posix() for page in PAGES]


def text_of(name: str) -> str:
    return (REPO / name).read_text(encoding="utf-8")


def blocks(text: str, *kinds: str) -> list[str]:
    """The contents of the fenced blocks of these kinds."""
    found = re.findall(r"^ *```(\w+)\n(.*?)^ *```", text, flags=re.MULTILINE | re.DOTALL)
    return [content for kind, content in found if kind in kinds]


def code_spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL))


def table(section: str) -> list[list[str]]:
    """The cells of a section's tables, heads and rules left out."""
    rows = [line for line in section.splitlines() if line.startswith("|")]
    bodies = [row for row, after in zip(rows, [*rows[1:], ""], strict=True) if not after.startswith("|--")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in bodies if not row.startswith("|--")]


def section(text: str, heading: str) -> str:
    return re.split(r"^#+ .*$", text.split(f"# {heading}\n", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
