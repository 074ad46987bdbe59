"""Small questions to the system, each answered with None where it does not say."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from emomusic_edge.installation.places import SERVICE

Told = Callable[[Sequence[str]], str | None]
"""What a command prints; the seam at which tests stand in for nvpmodel, dpkg and systemctl."""

_COMMAND_TIMEOUT_S = 5.0


def text_of(path: Path) -> str | None:
    """What a small file says; bytes that are no UTF-8 are replaced."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def told_by(command: Sequence[str]) -> str | None:
    """What a command prints, stripped; None where it is not here, fails, or takes longer than 5 s."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMMAND_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def is_there(path: Path) -> bool:
    """Whether a path leads to something; also when its folder is closed to this user, who then cannot know."""
    try:
        path.stat()
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def join_group(group: str) -> str:
    """What puts the user who looks into a group: under `service do` that is the service's, not who typed it."""
    name = user_name(os.geteuid())
    then = f"`sudo systemctl restart {SERVICE}`" if name == SERVICE else "log out and in again"
    return f"`sudo usermod -aG {group} {name}`, then {then}"


def user_name(uid: int) -> str:
    """What a user is called; `user 1234` where that number has no name here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
