"""Work that may crash, hang or leak runs in a process of its own: a job in, JSON lines out.

TensorRT answers a missing driver or a foreign engine with a segmentation fault as readily as with a message; in a child
it costs an error with a name. This module imports the standard library alone, so that a child with another interpreter
can use it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from emomusic_edge.errors import EmomusicError, ModelError

_IN_MEMORY = "/dev/shm"
# The last lines of stderr that a crash is told with.
_TOLD_LINES = 4


def run_in_own_process(
    module: str,
    arguments: Sequence[str],
    *,
    what: str,
    timeout_s: float,
    progress: Callable[[str], None] = lambda line: None,
    mend_late: str = "",
    python: str | None = None,
) -> dict[str, Any]:
    """Run `python -m module arguments` and wait for its answer.

    Args:
        module: one whose main function is wrapped in `answer_with`.
        arguments: its command line; paths are absolute, since the child starts in a folder of its own.
        what: the work, for messages, e.g. `Building the engine of face-x`.
        timeout_s: after this long the process is ended.
        progress: gets each line of progress.
        mend_late: what mends that.
        python: the interpreter, None for this one; another needs nothing of ours installed.

    Returns:
        The answer.

    Raises:
        ModelError: the child said so, crashed (the message names the signal), took too long or did not start.
    """
    interpreter = python or sys.executable
    with scratch_folder("emomusic-") as folder:
        # A link as the only thing on the path: the child gets our modules and none of our packages.
        (Path(folder) / "emomusic_edge").symlink_to(Path(__file__).resolve().parent)
        with (Path(folder) / "stderr").open("w+", errors="replace") as errors:
            try:
                process = subprocess.Popen(
                    [interpreter, "-X", "faulthandler", "-m", module, *arguments],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    text=True,
                    errors="replace",
                    cwd=folder,
                    env=_environment(folder),
                )
            except OSError as cause:
                raise ModelError(f"{what} did not start: {interpreter}: {cause.strerror or cause}.") from cause
            answer, late = _listen(process, timeout_s, progress)
            errors.seek(0)
            tail = [line.strip() for line in errors.read().splitlines() if line.strip()][-_TOLD_LINES:]
    if late:
        raise ModelError(f"{what} took longer than {timeout_s:g} s and was ended.", mend=mend_late)
    if "error" in answer:
        raise ModelError(f"{answer['error']}", mend=str(answer.get("mend", "")))
    if process.returncode != 0 or "answer" not in answer:
        raise ModelError(f"{what} {_ending(process.returncode)}{': ' if tail else '.'}{' | '.join(tail)}")
    return dict(answer["answer"])


def scratch_folder(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """A folder that goes with its `with`: in memory where no disk takes one (read-only, full)."""
    try:
        return tempfile.TemporaryDirectory(prefix=prefix)
    except OSError:
        return tempfile.TemporaryDirectory(prefix=prefix, dir=_IN_MEMORY)


def _listen(
    process: subprocess.Popen[str], timeout_s: float, progress: Callable[[str], None]
) -> tuple[Mapping[str, Any], bool]:
    """Read until the child is gone: what it answered, and whether it had to be ended."""
    answer: dict[str, Any] = {}
    late = threading.Event()

    def end() -> None:
        late.set()
        process.kill()

    watch = threading.Timer(timeout_s, end)
    watch.daemon = True
    watch.start()
    try:
        for line in process.stdout or ():
            message = _message(line)
            if message is None:
                progress(line.rstrip())
            elif "progress" in message:
                progress(str(message["progress"]))
            else:
                answer = message
        process.wait()
    finally:
        watch.cancel()
        if process.poll() is None:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
    return answer, late.is_set()


def _message(line: str) -> dict[str, Any] | None:
    """A line of the protocol; None for what a library printed."""
    with contextlib.suppress(ValueError):
        message = json.loads(line)
        if isinstance(message, dict) and message.keys() & {"progress", "answer", "error"}:
            return message
    return None


def _environment(folder: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, "PYTHONPATH": folder, "PYTHONUNBUFFERED": "1"}


def _ending(code: int) -> str:
    if code < 0:
        try:
            return f"crashed with {signal.Signals(-code).name}"
        except ValueError:
            return f"crashed with signal {-code}"
    return f"ended with exit code {code} and no answer"


def tell_progress(line: str) -> None:
    """Send a line of progress to the parent."""
    _send({"progress": line})


def answer_with(work: Callable[[], Mapping[str, Any]]) -> int:
    """Run the work of a child and send its answer or its error to the parent.

    Returns:
        The exit code to end with.
    """
    try:
        _send({"answer": dict(work())})
    except EmomusicError as error:
        _send({"error": str(error), "mend": error.mend})
        return error.exit_code
    return 0


def _send(message: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()
