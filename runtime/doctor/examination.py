"""Looks at one subject, whatever that does: raise, hang, or end its process."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from emomusic_edge.errors import EmomusicError
from emomusic_edge.own_process import run_in_own_process, scratch_folder

from .apart import CHILD, LookFailedError, finding_in, job_text, raised_text
from .finding import About, Finding
from .setup import Setup
from .subjects import Subject


def examine(subject: Subject, setup: Setup) -> Sequence[Finding]:
    """The findings of one subject, within its time; none of its troubles reaches the caller.

    What was found before a look broke off is told all the same, and a last finding says that it did.
    """
    found: list[Finding] = []
    about = About(subject.name)
    try:
        if subject.apart:
            _look_apart(subject, setup, found)
        elif not _look_here(subject, setup, found):
            found.append(
                about.problem(
                    "unanswered",
                    f"no answer within {subject.timeout_s:g} s",
                    meaning="What was asked hangs, and would keep a run waiting too.",
                    mend=f"emomusic-edge doctor --only {subject.name}",
                )
            )
    except EmomusicError as error:
        meaning = "A run that asks the same is likely to end the same way."
        found.append(about.problem("unanswered", str(error).rstrip("."), meaning=meaning, mend=error.mend))
    except Exception as error:  # noqa: BLE001 (a look that fails is a finding, and the others go on)
        found.append(
            about.warning(
                "unanswered",
                f"could not be looked at: {error if isinstance(error, LookFailedError) else raised_text(error)}",
                meaning="A fault of the doctor: it says nothing of the thing itself. Please report it.",
            )
        )
    return found


def _look_apart(subject: Subject, setup: Setup, found: list[Finding]) -> None:
    def take(line: str) -> None:
        # What a library prints is no finding.
        with suppress(ValueError, TypeError, KeyError):
            found.append(finding_in(json.loads(line)))

    with scratch_folder("emomusic-doctor-") as folder:
        job = Path(folder) / "job.json"
        job.write_text(job_text(subject, setup), encoding="utf-8")
        what = f"Looking at the subject {subject.name}"
        answer = run_in_own_process(CHILD, [str(job)], what=what, timeout_s=subject.timeout_s, progress=take)
    if answer["failed"]:
        raise LookFailedError(answer["failed"])


def _look_here(subject: Subject, setup: Setup, found: list[Finding]) -> bool:
    """Whether the look ended within its time. A thread that hangs on is left behind; it ends with the process."""
    raised: list[Exception] = []

    def work() -> None:
        try:
            for finding in subject.look(setup):
                found.append(finding)
        except Exception as error:  # noqa: BLE001 (told by the caller)
            raised.append(error)

    thread = threading.Thread(target=work, name=f"doctor-{subject.name}", daemon=True)
    thread.start()
    thread.join(subject.timeout_s)
    if raised:
        raise raised[0]
    return not thread.is_alive()
