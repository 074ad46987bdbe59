"""The findings as one JSON document, and as a page for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emomusic_edge import __version__

from .finding import Finding, Level, worst

SCHEMA = 1
"""Of the JSON document; another number when a field changes its meaning or goes away. New ones may come."""

_SIGNS = {Level.OK: ("✓", "green"), Level.WARNING: ("!", "yellow"), Level.PROBLEM: ("✗", "bold red")}
_WORDS = {Level.OK: "ok", Level.WARNING: "warning", Level.PROBLEM: "problem"}
_INDENT = 4


def document(findings: Sequence[Finding], at: datetime) -> dict[str, Any]:
    """The findings for programs.

    Args:
        findings: in the order they were made.
        at: when, with a time zone.
    """
    counts = Counter(finding.level for finding in findings)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "at": at.isoformat(timespec="seconds"),
        "level": worst([finding.level for finding in findings]).value,
        "counts": {level.value: counts[level] for level in Level},
        "findings": [
            {
                "subject": finding.subject,
                "name": finding.name,
                "level": finding.level.value,
                "found": finding.found,
                "meaning": finding.meaning,
                "mend": finding.mend,
                "figures": dict(finding.figures),
            }
            for finding in findings
        ],
    }


def print_subject(console: Console, title: str, findings: Iterable[Finding]) -> None:
    """One subject: its title, and a paragraph for each finding. The command that mends stands on a line of its own."""
    console.print(Text(title, style="bold"))
    for finding in findings:
        sign, style = _SIGNS[finding.level]
        grave = finding.level is not Level.OK
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_column(width=3, justify="right")
        grid.add_column(overflow="fold")
        word = f"{_WORDS[finding.level]}: " if grave else ""
        grid.add_row(
            Text(sign, style), Text.assemble((word, style), (_sentence(finding.found), "bold" if grave else ""))
        )
        if finding.meaning:
            grid.add_row("", Text(finding.meaning, style="" if grave else "dim"))
        console.print(grid)
        if finding.mend:
            # Not broken into lines: it is to be copied.
            console.print(Text.assemble(" " * _INDENT, ("mend: ", "bold"), finding.mend), soft_wrap=True)


def print_sum(console: Console, findings: Sequence[Finding]) -> None:
    """What it adds up to, and where to begin."""
    counts = Counter(finding.level for finding in findings)
    parts = [_counted(counts[level], _WORDS[level]) for level in (Level.PROBLEM, Level.WARNING) if counts[level]]
    console.print()
    if not parts:
        console.print(Text(f"All is well: {_counted(counts[Level.OK], 'thing')} looked at.", style="green"))
        return
    rest = f"; {counts[Level.OK]} more well" if counts[Level.OK] else ""
    console.print(Text(f"{' and '.join(parts)}{rest}.", style="bold"))
    if counts[Level.PROBLEM]:
        console.print("Mend the problems from the top: later ones often follow from earlier ones.")
        troubled = dict.fromkeys(finding.subject for finding in findings if finding.level is Level.PROBLEM)
        console.print(f"To look at those again: emomusic-edge doctor --only {','.join(troubled)}", soft_wrap=True)
    else:
        console.print("It works as it is. The warnings say what could be better.")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 else 's'}"


def _sentence(text: str) -> str:
    """With a capital letter, unless it begins with a name or a path."""
    first = text.split(" ", 1)[0]
    plain = first.isalpha() and first.islower()
    return text[0].upper() + text[1:] if plain else text
