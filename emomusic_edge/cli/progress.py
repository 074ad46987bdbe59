"""Long work with a progress bar or a spinner, for the commands that share it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import TaskID


def make_starter_music(folder: Path, console: Console) -> Path:
    """Make the starter music unless it is there; silent when it is.

    Returns:
        Its index file.

    Raises:
        MissingExtraError: the extra `starter` is not installed.
        AudioError: a file cannot be written.
    """
    from rich.progress import Progress

    from emomusic_edge.deam_index.starter_music.make import ensure_starter_music

    with Progress(console=console, transient=True) as progress:
        tasks: list[TaskID] = []

        def made(done: int, total: int) -> None:
            if not tasks:
                console.print(f"Composing and playing {total} pieces of starter music (about a minute, once)")
                tasks.append(progress.add_task("starter music", total=total))
            progress.update(tasks[0], completed=done)

        return ensure_starter_music(folder, made)


@contextmanager
def spinning(console: Console, title: str) -> Iterator[Callable[[str], None]]:
    """A title, then a spinner beside the step at hand; each step that ends leaves a line with its seconds.

    Yields:
        To be called with one line as each step begins.
    """
    console.print(title, style="bold", highlight=False, markup=False)
    began_s = time.monotonic()
    at_hand = ""

    def ended() -> None:
        if at_hand:
            console.print(f"  {time.monotonic() - began_s:5.1f} s  {at_hand}", highlight=False, markup=False)

    with console.status("") as status:

        def announce(line: str) -> None:
            nonlocal at_hand, began_s
            ended()
            at_hand, began_s = line, time.monotonic()
            status.update(f"{line} …")

        yield announce
        ended()
