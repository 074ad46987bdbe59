"""Where the parts of an installation lie: of the system, or of one user's own service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.paths import APP_NAME

SERVICE = APP_NAME
UNIT = f"{SERVICE}.service"

AS_SERVICE = f"sudo /opt/{SERVICE}/venv/bin/{SERVICE} service do"
"""What comes before a command that is to be done as the service; see cli/service_do.py."""


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of an installation, as the running system names them (a `--root` comes before them).

    Attributes:
        user: whether it is a user's own service (`systemctl --user`).
        units: where systemd looks for the unit.
        config: settings, their example, the password, and the record of what was installed.
        state: models, engines, music, likes.
        cache: what can be fetched or made again.
        program: holds the environment that is made where none is named.
        udev, sysusers, tmpfiles: folders of rules for these; None where there is no right to any.
    """

    user: bool
    units: Path
    config: Path
    state: Path
    cache: Path
    program: Path
    udev: Path | None
    sysusers: Path | None
    tmpfiles: Path | None

    @property
    def unit(self) -> Path:
        """The unit file."""
        return self.units / UNIT

    @property
    def drop_ins(self) -> Path:
        """The folder of the unit's drop-ins."""
        return self.units / f"{UNIT}.d"

    @property
    def environment(self) -> Path:
        """The Python environment that is made where none is named."""
        return self.program / "venv"

    @property
    def settings(self) -> Path:
        """The config file, which is its owner's."""
        return self.config / "config.toml"

    @property
    def example(self) -> Path:
        """All settings of this version, beside it."""
        return self.config / "config.toml.example"

    @property
    def record(self) -> Path:
        """What was installed; see InstallRecord."""
        return self.config / "installed.json"


def system_places() -> Places:
    """Those of the system service, as systemd/emomusic-edge.service names them."""
    return Places(
        user=False,
        units=Path("/etc/systemd/system"),
        config=Path("/etc") / SERVICE,
        state=Path("/var/lib") / SERVICE,
        cache=Path("/var/cache") / SERVICE,
        program=Path("/opt") / SERVICE,
        udev=Path("/etc/udev/rules.d"),
        sysusers=Path("/etc/sysusers.d"),
        tmpfiles=Path("/etc/tmpfiles.d"),
    )


def user_places(config_home: Path, data_home: Path, cache_home: Path) -> Places:
    """Those of a user's own service, under the XDG base folders."""
    return Places(
        user=True,
        units=config_home / "systemd" / "user",
        config=config_home / SERVICE,
        state=data_home / SERVICE,
        cache=cache_home / SERVICE,
        program=data_home / f"{SERVICE}-program",
        udev=None,
        sysusers=None,
        tmpfiles=None,
    )
