"""One run from the terminal: live view, record, summary, signals. What `run` and `demo` share."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.logging import RichHandler
from rich.text import Text

from emomusic_edge.config.settings import Settings
from emomusic_edge.errors import ConfigError, EmomusicError

if TYPE_CHECKING:
    from emomusic_edge.runtime.calibration import AppliedCalibration

_LOADING_ENDS_S, _LOADING_LOOK_S = 2.0, 0.1


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What a run from the terminal is asked for beside the settings.

    Attributes:
        fast: see runtime.app.RunPlan.
        max_frames: likewise.
        summary: a JSON file to write at the end.
        record: a CSV file to write a row a frame into.
        picture: an SVG file to write the last live view into.
        title: what the live view is headed with; the source's name follows.
        loop: see runtime.app.RunPlan.
    """

    fast: bool = False
    max_frames: int | None = None
    summary: Path | None = None
    record: Path | None = None
    picture: Path | None = None
    title: str = "emomusic-edge"
    loop: bool = False


def run_session(settings: Settings, plan: SessionPlan, console: Console) -> dict[str, Any]:
    """Run until the frames end or a signal asks to stop, with the live view on `console`.

    Returns:
        The summary, which is also shown and written.

    Raises:
        EmomusicError: something cannot work; nothing was written. A file that breaks off raises after all that was
            asked for was written.
    """
    files = {"--summary": plan.summary, "--record": plan.record, "--picture": plan.picture}
    for flag, file in files.items():
        check_writable(flag, file)
    named = [file.resolve() for file in files.values() if file is not None and not file.is_char_device()]
    if len(set(named)) < len(named):
        raise ConfigError(f"{' and '.join(files)} need files of their own.", mend="Give each another name.")
    _log_to(console, settings.log.level)
    # Around the writing at the end as well: a signal then must not cost what was asked for.
    with stop_on_signals() as stop:
        return _run_until(stop, settings, plan, console)


def _run_until(stop: threading.Event, settings: Settings, plan: SessionPlan, console: Console) -> dict[str, Any]:
    with contextlib.ExitStack() as stack:
        # Nobody sits before a service to plug the camera in and start it again.
        waits = "NOTIFY_SOCKET" in os.environ
        # Around the imports as well: from a slow card they take seconds.
        with ends_while_loading(stop):
            from emomusic_edge.runtime.app import App, RunPlan
            from emomusic_edge.runtime.record import RecordWriter
            from emomusic_edge.runtime.summary import summary_view, write_summary
            from emomusic_edge.runtime.view.live_view import LiveView, show

            app = App(settings, RunPlan(plan.fast, plan.max_frames, stop, plan.loop, waits))
        # Only now: a run that cannot start leaves an earlier record as it is.
        record = stack.enter_context(RecordWriter(plan.record)) if plan.record is not None else None
        if record is not None:
            app.observe(record.write)
        view = LiveView(
            console,
            title=f"{plan.title} · {app.source_name}",
            notice=" · ".join(filter(None, (app.notice, app.models.notice, calibrated(app.calibration)))),
            broker=app.broker,
            to_felt=app.to_felt,
        )
        # A journal keeps what it is given: what people felt is shown to a person, and kept nowhere.
        kept = writes_to_journal()
        if not kept:
            app.observe(view.update)
        with contextlib.nullcontext() if kept else view:
            told = app.run()
    if not kept:
        show(console, summary_view(told))
    faults: list[EmomusicError] = []
    if record is not None:
        show(console, Text(f"record: {record.reason or plan.record}"))
    if app.broke_off is not None:
        faults.append(app.broke_off)
    outputs: list[tuple[str, Path | None, Callable[[Path], None]]] = [
        ("--summary", plan.summary, lambda file: write_summary(file, told)),
        ("--picture", plan.picture, view.save_svg),
    ]
    for flag, file, write in outputs:
        if file is None:
            continue
        try:
            write(file)
            show(console, Text(f"{flag[2:]}: {file}"))
        except OSError as cause:
            faults.append(_unwritable(flag, file, cause))
    if faults:
        raise faults[0]
    return told


def _unwritable(flag: str, file: Path, cause: OSError) -> ConfigError:
    return ConfigError(
        f"{flag} {file} cannot be written: {cause.strerror or cause}.", mend=f"Name another file with {flag}."
    )


def check_writable(flag: str, file: Path | None) -> None:
    """A long run must not end in "no such folder"; an earlier file stays as it is.

    Raises:
        ConfigError: `file`, which `flag` names, cannot be written.
    """
    if file is None:
        return
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if file.exists() and not file.is_file():
            if not os.access(file, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(file))
            return
        with tempfile.TemporaryFile(dir=file.resolve().parent):
            pass
    except OSError as cause:
        raise _unwritable(flag, file, cause) from cause


def calibrated(applied: AppliedCalibration) -> str:
    """What the live view says of a calibration that is applied, or why the stored one is not."""
    if applied.calibration is None:
        return applied.reason
    shift = applied.calibration.shift
    return f"calibrated for {applied.calibration.person}: valence {shift.valence:+.2f}, arousal {shift.arousal:+.2f}"


def writes_to_journal() -> bool:
    """Whether standard output goes to systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    try:
        found = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


@contextlib.contextmanager
def stop_on_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts at once, as ever."""
    stop = threading.Event()

    def ask(number: int, _: FrameType | None) -> None:
        if stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stop.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def ends_while_loading(stop: threading.Event) -> Iterator[None]:
    """End the process two seconds after `stop` if this still stands: nothing interrupts a model that is being read.

    Nothing sounds and nobody was told anything by then; what loading keeps for the next time is written aside first.
    """
    loaded = threading.Event()

    def watch() -> None:
        while not loaded.wait(_LOADING_LOOK_S):
            if stop.is_set() and not loaded.wait(_LOADING_ENDS_S):
                os._exit(0)

    threading.Thread(target=watch, name="loading", daemon=True).start()
    try:
        yield
    finally:
        loaded.set()


def _log_to(console: Console, level: str) -> None:
    # The live view tells what is wrong for as long as it is; a log beside it would say it twice.
    if writes_to_journal():
        logging.basicConfig(level=level.upper(), format="%(levelname)s %(name)s: %(message)s", force=True)
        return
    shown = "error" if console.is_terminal and level in ("info", "warning") else level
    handler = RichHandler(console=console, show_path=False, rich_tracebacks=False, markup=False)
    logging.basicConfig(level=shown.upper(), format="%(message)s", handlers=[handler], force=True)
