"""Who may read the secrets and what tells of a person, and who may write the settings."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from emomusic_edge.config import password_file
from emomusic_edge.paths import DataLayout

from .finding import About, Finding
from .setup import Setup
from .system import text_of, user_name

SERVICE_PASSWORD = Path("/etc/emomusic-edge/mqtt-password")

# Of mqtt.password, in any way that TOML writes it.
_PASSWORD = re.compile(r"""^[^#\n]*\bpassword["']?\s*=""", re.MULTILINE)

_about = About("files")


def look(setup: Setup, uid: int | None = None, service_password: Path = SERVICE_PASSWORD) -> Sequence[Finding]:
    """The configuration, the secrets that it names, and what the data folder keeps of a person.

    Args:
        setup: the settings.
        uid: of whom the run will be; None for this process's user.
        service_password: the file that systemd hands the service a copy of.
    """
    found = [*_all(setup, os.geteuid() if uid is None else uid), *_of_service(service_password)]
    return found or [_about.ok("config", "there is no configuration file, no secret and nothing of a person")]


def _all(setup: Setup, user: int) -> Iterator[Finding]:
    mqtt = setup.settings.mqtt
    if setup.file is not None:
        # A variable or a flag may have given the password as well.
        holds_secret = mqtt.password is not None and str(setup.file) in setup.origins.get("mqtt.password", "")
        if setup.error is not None:
            # What does not fit is not in the settings, and may be secret all the same.
            holds_secret = holds_secret or _PASSWORD.search(text_of(setup.file) or "") is not None
        yield _config_file(setup.file, user, secret=holds_secret)
    secrets = {"mqtt.password_file": password_file(mqtt), "mqtt.client_key_file": mqtt.client_key_file}
    if mqtt.client_cert_file is not None and mqtt.client_key_file is None:
        secrets["mqtt.client_cert_file, which holds the key"] = mqtt.client_cert_file
    for setting, path in secrets.items():
        if path is not None:
            yield _secret(setting, path)
    yield from _personal(DataLayout(setup.settings.paths.data_dir))


def _config_file(path: Path, user: int, *, secret: bool) -> Finding:
    status = _status(path)
    if status is None:
        return _about.problem(
            "config",
            f"{path} cannot be looked at",
            meaning="This user may not enter its folder.",
            mend=f"sudo ls -ld {path.parent} {path}",
        )
    mode = f"{status.st_mode & 0o777:04o}"
    if status.st_mode & stat.S_IWOTH:
        return _about.problem(
            "config",
            f"{path} may be written by everybody (mode {mode})",
            meaning="Whoever has an account here may point the device at another broker.",
            mend=f"chmod o-w {path}",
            mode=mode,
        )
    if secret and status.st_mode & stat.S_IROTH:
        return _about.problem(
            "config",
            f"{path} holds mqtt.password and may be read by everybody (mode {mode})",
            meaning="Whoever has an account here knows the broker's password.",
            mend=f"`chmod 640 {path}`, or keep the password in mqtt.password_file",
            mode=mode,
        )
    if status.st_uid not in (0, user):
        return _about.warning(
            "config",
            f"{path} belongs to {user_name(status.st_uid)}, neither to root nor to {user_name(user)}, who runs this",
            meaning="That user decides what this device does.",
            mend=f"sudo chown root {path}",
            mode=mode,
        )
    writers = "its group" if status.st_mode & stat.S_IWGRP else "nobody else"
    found = f"{path} may be written by {user_name(status.st_uid)} and {writers} (mode {mode})"
    return _about.ok("config", found, mode=mode)


def _secret(setting: str, path: Path) -> Finding:
    status = _status(path)
    if status is None or not status.st_size:
        return _about.problem(
            "secret",
            f"{setting} {path} {'is empty' if status is not None else 'is not there, or in a closed folder'}",
            meaning="The broker asks for it, and no run starts without it.",
            mend=f"`sudo install -m 600 -o {user_name(os.geteuid())} /dev/stdin {path}`, type it, Enter, Ctrl-D",
        )
    mode = f"{status.st_mode & 0o777:04o}"
    if status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return _about.problem(
            "secret",
            f"{setting} {path} may be read or written by everybody (mode {mode})",
            meaning="Whoever has an account on this machine can log in to the broker as this device.",
            mend=f"chmod o= {path}",
            mode=mode,
        )
    if not os.access(path, os.R_OK):
        return _about.problem(
            "secret",
            f"{setting} {path} may not be read by {user_name(os.geteuid())}, who runs this (mode {mode})",
            meaning="The login to the broker fails.",
            mend=f"sudo chown {user_name(os.geteuid())} {path}",
            mode=mode,
        )
    return _about.ok("secret", f"{setting} {path} is closed to others (mode {mode})", mode=mode)


def _of_service(path: Path) -> Iterator[Finding]:
    """The file itself: the service sees its own copy, which is closed to others whatever this one is."""
    status = _status(path)
    if status is not None and status.st_mode & 0o077:
        mode = f"{status.st_mode & 0o777:04o}"
        yield _about.problem(
            "service-secret",
            f"{path} may be read by others than root (mode {mode})",
            meaning="Whoever has an account on this machine can log in to the broker as this device.",
            mend=f"sudo chmod 600 {path}",
            mode=mode,
        )


def _personal(layout: DataLayout) -> Iterator[Finding]:
    """What tells of a person: likes, the history, and calibrations."""
    files = [layout.likes, layout.history, *sorted(layout.calibration("").parent.glob("*.json"))]
    found = [(path, status) for path in files if (status := _status(path)) is not None]
    open_ones = [path for path, status in found if status.st_mode & 0o077]
    if open_ones:
        yield _about.warning(
            "personal",
            f"{', '.join(map(str, open_ones))} may be read by others",
            meaning="It holds which songs somebody likes, how people felt, or a person's calibration.",
            mend=f"chmod 600 {' '.join(map(str, open_ones))}",
        )
    elif found:
        yield _about.ok("personal", f"likes, history and calibrations in {layout.root} are closed to others")


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None
