"""What an installation does, one value for each step: the plan is a list of them, and so is what --dry-run prints."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """A folder, and those above it, unless it is there."""

    path: Path
    mode: int = 0o755

    def __str__(self) -> str:
        return f"folder   {self.path}"


@dataclass(frozen=True, slots=True)
class WriteFile:
    """A file, whole or not at all.

    Attributes:
        content: the text of it, UTF-8.
        why: `new`, `updated` and the like.
    """

    path: Path
    content: str
    mode: int = 0o644
    why: str = "new"

    def __str__(self) -> str:
        return f"write    {self.path} ({self.why})"


@dataclass(frozen=True, slots=True)
class KeepFile:
    """A file that is left as it is; nothing is done."""

    path: Path
    why: str

    def __str__(self) -> str:
        return f"keep     {self.path} ({self.why})"


@dataclass(frozen=True, slots=True)
class SaveCopy:
    """A file that its owner changed gets a copy beside it, before it is written or removed."""

    path: Path
    copy: Path

    def __str__(self) -> str:
        return f"copy     {self.path} to {self.copy} (you changed it)"


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """A file goes, unless it is gone."""

    path: Path

    def __str__(self) -> str:
        return f"remove   {self.path}"


@dataclass(frozen=True, slots=True)
class RemoveFolder:
    """A folder goes.

    Attributes:
        whole: with all that is in it; otherwise only when it is empty.
    """

    path: Path
    whole: bool = False

    def __str__(self) -> str:
        return f"remove   {self.path}/ ({'with all that is in it' if self.whole else 'if it is empty'})"


@dataclass(frozen=True, slots=True)
class Run:
    """A command.

    Attributes:
        argv: the program and its arguments, without a shell.
        mend: what helps when it fails; the installation then ends there.
        optional: why its failure may be passed over; empty where it may not.
    """

    argv: tuple[str, ...]
    mend: str = ""
    optional: str = ""

    def __str__(self) -> str:
        return f"run      {shlex.join(self.argv)}"


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know; nothing is done."""

    text: str

    def __str__(self) -> str:
        return f"note     {self.text}"


Step = Note | MakeFolder | WriteFile | KeepFile | SaveCopy | RemoveFile | RemoveFolder | Run
