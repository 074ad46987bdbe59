"""`emomusic-edge doctor`: what works on this machine, what does not, and what mends it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from collections.abc import Sequence

    from emomusic_edge.runtime.doctor.subjects import Subject

_ONLY = typer.Option(
    "--only", metavar="A,B", help="Look at these subjects alone, e.g. camera,broker.", show_default=False
)
_JSON = typer.Option("--json", help="Print one JSON document; see docs/doctor.md.")
_SET = typer.Option("--set", metavar="KEY=VALUE", help="Look with another setting; may be repeated.")


def doctor(
    config: Annotated[Path | None, CONFIG] = None,
    assignments: Annotated[list[str] | None, _SET] = None,
    only: Annotated[str | None, _ONLY] = None,
    as_json: Annotated[bool, _JSON] = False,
) -> None:
    """Look at this machine: what works, what does not, what that means, and what mends it.

    Settings, packages, GPU, memory, disk, clock, other runs, camera, sound, models, music, broker. It takes some
    seconds, and changes nothing: nothing is installed, no file is left, nothing is kept on the broker; the camera is
    on for two seconds and no picture is kept. Ends with exit code 1 if there is a problem, else 0.

    It looks at your own settings and folders; `sudo emomusic-edge service do doctor` at the service's.

        emomusic-edge doctor
        emomusic-edge doctor --only camera,broker
    """
    import json
    import logging
    from datetime import datetime, timezone

    from rich.console import Console

    from emomusic_edge.config import parse_assignments
    from emomusic_edge.runtime.doctor.examination import examine
    from emomusic_edge.runtime.doctor.finding import Finding, Level
    from emomusic_edge.runtime.doctor.report import document, print_subject, print_sum
    from emomusic_edge.runtime.doctor.setup import setup_of

    # What the parts log on the way is told as findings.
    logging.getLogger("emomusic_edge").addHandler(logging.NullHandler())
    console = Console(stderr=as_json, highlight=False, emoji=False)
    subjects = _chosen(only)
    setup = setup_of(config, parse_assignments(assignments or ()))
    findings: list[Finding] = []
    for subject in subjects:
        with console.status(f"Looking at: {subject.title} …"):
            found = examine(subject, setup)
        findings += found
        if not as_json:
            print_subject(console, subject.title, found)
    if as_json:
        typer.echo(json.dumps(document(findings, datetime.now(timezone.utc)), indent=2, ensure_ascii=False))
    else:
        print_sum(console, findings)
    if any(finding.level is Level.PROBLEM for finding in findings):
        raise typer.Exit(1)


def _chosen(only: str | None) -> Sequence[Subject]:
    """The subjects that are named; all without a name.

    Raises:
        typer.BadParameter: one is none.
    """
    from emomusic_edge.runtime.doctor.subjects import SUBJECTS

    if only is None:
        return SUBJECTS
    names = {name.strip() for name in only.split(",") if name.strip()}
    known = {subject.name for subject in SUBJECTS}
    if not names or names - known:
        unknown = ", ".join(sorted(names - known)) or "nothing"
        raise typer.BadParameter(f"found {unknown}, expected some of {', '.join(s.name for s in SUBJECTS)}.")
    return [subject for subject in SUBJECTS if subject.name in names]
