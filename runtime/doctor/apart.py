"""A look in a process of its own: the settings in, findings out. `python -m emomusic_edge.runtime.doctor.apart JOB`."""

from __future__ import annotations

import dataclasses
import json
import logging
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from emomusic_edge.config import Settings
from emomusic_edge.own_process import answer_with, tell_progress

from .finding import Finding, Level
from .setup import Setup
from .subjects import Subject, subject_named

CHILD = "emomusic_edge.runtime.doctor.apart"
"""This module, as the parent starts it."""


class LookFailedError(Exception):
    """A look raised in its own process; the text says what and where."""


def job_text(subject: Subject, setup: Setup) -> str:
    """What the child is told: which subject, and the settings without the broker's, which may hold a password."""
    settings = setup.settings.model_dump(mode="json", exclude={"mqtt"})
    return json.dumps({"subject": subject.name, "settings": settings, "given": sorted(setup.origins)})


def finding_in(told: Mapping[str, Any]) -> Finding:
    """A finding as a child tells it.

    Raises:
        TypeError, KeyError, ValueError: it is none.
    """
    return Finding(**{**told, "level": Level(told["level"])})


def raised_text(error: Exception) -> str:
    """What was raised, and where."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(where.filename).name}, line {where.lineno})"


def _look(job_file: Path) -> dict[str, str]:
    """Look at what the job names; each finding is sent as it comes, so that it outlives a crash of the next look.

    Returns:
        `failed`: what a look raised, and where; empty when all went well.
    """
    job = json.loads(job_file.read_text(encoding="utf-8"))
    subject = subject_named(job["subject"])
    if subject is None:
        raise ValueError(f"no subject is called {job['subject']!r}")
    setup = Setup(Settings.model_validate(job["settings"]), origins=dict.fromkeys(job["given"], ""))
    try:
        for finding in subject.look(setup):
            tell_progress(json.dumps(dataclasses.asdict(finding)))
    except Exception as error:  # noqa: BLE001 (told by the parent)
        return {"failed": raised_text(error)}
    return {"failed": ""}


def main(arguments: list[str]) -> int:
    """Look, and answer."""
    # What a library warns of is told as a finding, or not at all: stderr is shown only when the process breaks down.
    logging.disable(logging.WARNING)
    return answer_with(lambda: _look(Path(arguments[0])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
