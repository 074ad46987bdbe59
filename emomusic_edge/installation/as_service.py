"""A command of this program done as the system service: with its user, settings, folders and the broker's password."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from emomusic_edge.config.mqtt import CREDENTIAL
from emomusic_edge.installation.apart import run_apart
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.places import SERVICE, Places

# Where systemd keeps credentials too: in memory.
_RUN = Path("/run")
# What systemd gives a service of the system.
_SEARCHED = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
# Of the caller's own: how to speak, and how to reach the network when the starter set is fetched.
_PROXIES = ("http_proxy", "https_proxy", "no_proxy")
_TAKEN_ALONG = ("LANG", "TERM", "NO_COLOR", "PIP_INDEX_URL", *_PROXIES, *(name.upper() for name in _PROXIES))


def environment_of_service(places: Places) -> tuple[str, ...]:
    """NAME=VALUE of what the unit sets, and the home folder of its user."""
    return (
        f"PATH={_SEARCHED}",
        f"HOME={places.state}",
        f"EMOMUSIC_PATHS__DATA_DIR={places.state}",
        f"EMOMUSIC_PATHS__CACHE_DIR={places.cache}",
        "ORT_DISABLE_TELEMETRY=1",
        "SDL_AUDIODRIVER=alsa",
        "PULSE_SERVER=unix:/dev/null",
        f"CUDA_CACHE_PATH={places.cache / 'cuda'}",
    )


def taken_along(environ: Mapping[str, str]) -> tuple[str, ...]:
    """NAME=VALUE of the caller's own that go along; nothing else of root's environment does.

    An address with a login in it stays behind: all users may read a command line.
    """
    return tuple(f"{name}={environ[name]}" for name in _TAKEN_ALONG if name in environ and "@" not in environ[name])


def command_as_service(places: Places, environment: Path, words: Sequence[str], *more: str) -> tuple[str, ...]:
    """The command line that does it; root alone may run it.

    Args:
        places: of the system service.
        environment: the Python environment that the unit starts.
        words: the command and its arguments, without the program's name.
        more: further NAME=VALUE.
    """
    program = environment / "bin" / SERVICE
    variables = (*environment_of_service(places), *taken_along(os.environ), *more)
    return ("runuser", "-u", SERVICE, "--", "env", "-i", *variables, str(program), *words)


def run_as_service(places: Places, environment: Path, words: Sequence[str]) -> int:
    """Do it on this terminal, which stays the caller's: see apart.py.

    Returns:
        The exit code of the command.

    Raises:
        ServiceError: the service's user is missing, or `runuser` is.
    """
    try:
        account = pwd.getpwnam(SERVICE)
    except KeyError:
        raise ServiceError(
            f"There is no user {SERVICE}, so the service is not installed.",
            mend=f"sudo {environment / 'bin' / SERVICE} service install",
        ) from None
    with _credentials(places.config / CREDENTIAL, account) as folder:
        # The settings are found where a user's own would be.
        more = (f"XDG_CONFIG_HOME={places.config.parent}", f"CREDENTIALS_DIRECTORY={folder}")
        line = command_as_service(places, environment, words, *more)
        try:
            return run_apart(line)
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
