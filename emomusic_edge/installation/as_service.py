"""A command of this program done as the system service: with its user, settings, folders and the broker's password."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from emomusic_edge.config.mqtt import CREDENTIAL
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.places import SERVICE, Places

# Where systemd keeps credentials too: in memory.
_RUN = Path("/run")


def environment_of_service(places: Places) -> tuple[str, ...]:
    """NAME=VALUE of what the unit sets, and the home folder of its user."""
    return (
        f"HOME={places.state}",
        f"EMOMUSIC_PATHS__DATA_DIR={places.state}",
        f"EMOMUSIC_PATHS__CACHE_DIR={places.cache}",
    )


def command_as_service(places: Places, environment: Path, words: Sequence[str], *more: str) -> tuple[str, ...]:
    """The command line that does it; root alone may run it.

    Args:
        places: of the system service.
        environment: the Python environment that the unit starts.
        words: the command and its arguments, without the program's name.
        more: further NAME=VALUE.
    """
    program = environment / "bin" / SERVICE
    return ("runuser", "-u", SERVICE, "--", "env", *environment_of_service(places), *more, str(program), *words)


def run_as_service(places: Places, environment: Path, words: Sequence[str]) -> int:
    """Do it on this terminal.

    Returns:
        The exit code of the command.

    Raises:
        ServiceError: the service's user is missing, or `runuser` is.
    """
    try:
        account = pwd.getpwnam(SERVICE)
    except KeyError:
        raise ServiceError(
            f"There is no user {SERVICE}, so the service is not installed.", mend="sudo emomusic-edge service install"
        ) from None
    with _credentials(places.config / CREDENTIAL, account) as folder:
        # The settings are found where a user's own would be.
        more = (f"XDG_CONFIG_HOME={places.config.parent}", f"CREDENTIALS_DIRECTORY={folder}")
        line = command_as_service(places, environment, words, *more)
        try:
            return subprocess.run(line, check=False, cwd="/").returncode
        except OSError as cause:
            raise ServiceError(
                f"{line[0]} cannot be run: {cause.strerror or cause}.", mend="sudo apt-get install util-linux"
            ) from cause


@contextmanager
def _credentials(password: Path, account: pwd.struct_passwd) -> Iterator[Path]:
    """What LoadCredential= gives the service: a folder in memory, readable to its user alone, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix=f"{SERVICE}-", dir=_RUN) as name:
        folder = Path(name)
        if password.is_file():
            copy = folder / CREDENTIAL
            copy.touch(mode=0o400)
            shutil.copyfile(password, copy)
            os.chown(copy, account.pw_uid, account.pw_gid)
        os.chown(folder, account.pw_uid, account.pw_gid)
        yield folder
