"""What the `index` commands share: which index is meant, where its audio is, and a bar for long work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from emomusic_edge.config import Settings
    from emomusic_edge.deam_index.audio_files import AudioRoots

_NAMED = ("deam", "starter")

FILE = typer.Argument(
    help="Index file, or `deam` or `starter` for those; left out: the one that the config names.", show_default=False
)
AUDIO = typer.Option(
    help="Folder with the audio; left out: `[music] audio_dir` of the config, or beside the index.", show_default=False
)
File = Annotated[Path | None, FILE]
Audio = Annotated[Path | None, AUDIO]


def index_and_audio(file: Path | None, audio: Path | None, config: Path | None) -> tuple[Path, AudioRoots]:
    """The index that a command means, and the folders of its audio.

    Raises:
        ConfigError, IndexFileError: the config is broken; the starter music, which it names, was not made.
    """
    from emomusic_edge.deam_index.audio_files import AudioRoots
    from emomusic_edge.deam_index.roots_file import read_roots
    from emomusic_edge.runtime.locate import audio_folder, index_file

    settings, file = _settings_and_file(file, config)
    path = file or index_file(settings)
    if audio is not None:
        folder = audio
    elif file is None or settings.music.audio_dir is not None:
        folder = audio_folder(settings)
    else:
        folder = path.parent
    return path, AudioRoots(folder, read_roots(path))


def loudness_place(file: Path | None, path: Path, config: Path | None) -> Path:
    """Where the loudness of an index's files is kept."""
    from emomusic_edge.deam_index.loudness_file import loudness_file_of
    from emomusic_edge.runtime.locate import loudness_file

    settings, file = _settings_and_file(file, config)
    return loudness_file(settings) if file is None else loudness_file_of(path)


def _settings_and_file(file: Path | None, config: Path | None) -> tuple[Settings, Path | None]:
    """The settings, which name the index where no file does: `deam` and `starter` are no files."""
    from emomusic_edge.config import load_config

    settings = load_config(config)
    if file is None or str(file) not in _NAMED or file.exists():
        return settings, file
    return settings.model_copy(update={"music": settings.music.model_copy(update={"index": str(file)})}), None


@contextmanager
def bar(console: Console, title: str, unit: str = "files") -> Iterator[Callable[[int, int], None]]:
    """A progress bar that appears with the first call.

    Yields:
        To be called with what is done and how much there is.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(title, total=None, visible=False)

        def advance(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        yield advance


def say(console: Console, line: str) -> None:
    """A line as it is: no markup in it, no wrapping."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)
