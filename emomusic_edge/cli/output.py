"""The one screen that an error gets: what went wrong, what mends it, and the exit code."""

from __future__ import annotations

import re
import sys
import traceback

from emomusic_edge.errors import EmomusicError

USAGE_EXIT_CODE = 2
# EX_SOFTWARE and EX_IOERR of sysexits.h; 128 + SIGINT, as a shell has it.
BUG_EXIT_CODE = 70
SYSTEM_EXIT_CODE = 74
INTERRUPTED_EXIT_CODE = 130


def report(error: Exception, *, debug: bool = False) -> int:
    """Tell an error on stderr.

    Args:
        error: an EmomusicError speaks for itself; an OSError is the system's refusal (a full disk, a missing right);
            anything else is a bug.
        debug: print the traceback before it.

    Returns:
        The exit code to end with.
    """
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    if isinstance(error, EmomusicError):
        _screen(_title_of(error), str(error), error.mend)
        return error.exit_code
    if isinstance(error, ModuleNotFoundError):
        # What a `--help` has no use for.
        from emomusic_edge.missing_package import missing_package

        missing = missing_package(error)
        if missing is not None:
            return report(missing)
    if isinstance(error, OSError):
        _screen("System error", str(error), "" if debug else "--debug shows where it came from.")
        return SYSTEM_EXIT_CODE
    first_line = str(error).strip().partition("\n")[0]
    _screen(
        "A bug in emomusic-edge",
        f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__,
        "Report it with the traceback above." if debug else "Run it again with --debug, and report the traceback.",
    )
    return BUG_EXIT_CODE


def _title_of(error: EmomusicError) -> str:
    """`IndexFileError` is "Index file error"."""
    words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__)
    return words.capitalize()


def _screen(title: str, message: str, mend: str) -> None:
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.panel import Panel
        from rich.text import Text

        body = Text(message)
        if mend:
            body.append(f"\n\nmend: {mend}", style="bold")
        Console(stderr=True).print(Panel(body, title=title, title_align="left", border_style="red"))
        return
    lines = [f"{title}: {message}", *([f"mend: {mend}"] if mend else [])]
    print("\n".join(lines), file=sys.stderr)  # noqa: T201
