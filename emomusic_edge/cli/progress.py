"""Long work with a progress bar, for the commands that share it."""

from __future__ import annotations

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
