"""The programs that an installation calls: accounts, folders, rules, the service manager."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.installation.as_service import command_as_service
from emomusic_edge.installation.places import SERVICE, UNIT, Places
from emomusic_edge.installation.steps import Run

_RULES = "emomusic-edge.conf"
# Enough to see that models, music and pictures come together; a second or two.
_TRIAL_FRAMES = 30


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands for one place and one manager.

    Attributes:
        root: the system below this folder is meant; None is the running one.
        booted: whether the manager runs, so that it can be told.
    """

    places: Places
    root: Path | None = None
    booted: bool = True

    @property
    def running(self) -> bool:
        """Whether there is a manager to tell of changes."""
        return self.booted and self.root is None

    def systemctl(self, *words: str, mend: str = "", optional: str = "") -> Run:
        """`systemctl` for the system, the user, or the system below the root."""
        scope = ("--user",) if self.places.user else ()
        return Run(("systemctl", *scope, *self._root(), *words), mend, optional)

    def after_files(self) -> Iterator[Run]:
        """What makes new files count: the account, the folders, the manager, the camera's name."""
        if self.places.sysusers is not None:
            yield Run(("systemd-sysusers", *self._root(), _RULES))
        if self.places.tmpfiles is not None:
            yield Run(("systemd-tmpfiles", *self._root(), "--create", _RULES))
        if self.running:
            yield self.systemctl("daemon-reload")
            yield from self.camera_rules()

    def camera_rules(self) -> Iterator[Run]:
        """Have udev read its rules again and apply them to the cameras that are there."""
        if self.running and self.places.udev is not None:
            why = "the rule counts from the next boot on"
            yield Run(("udevadm", "control", "--reload"), optional=why)
            yield Run(("udevadm", "trigger", "--subsystem-match=video4linux"), optional=why)

    def starter_set(self, environment: Path) -> Run:
        """Make the starter models and music as the service's user, and see them run once."""
        words = ("demo", "--fast", "--no-mqtt", "--max-frames", str(_TRIAL_FRAMES))
        mend = "With a network, the same line again. Or without the starter set: --no-starter and models of your own."
        if self.places.user:
            return Run((str(environment / "bin" / SERVICE), *words), mend)
        return Run(command_as_service(self.places, environment, words), mend)

    def settings_read(self, environment: Path) -> Run:
        """Have the new version read the settings, as the service's user, while the old one still runs."""
        program = str(environment / "bin" / SERVICE)
        as_service = () if self.places.user else ("service", "do")
        return Run(
            (program, *as_service, "doctor", "--only", "config"),
            mend="Correct the settings, then the same line again. Nothing was restarted.",
        )

    def enabled(self, environment: Path, *, start: bool) -> Iterator[Run]:
        """At each boot from now on, and now."""
        # Links of the system can be made while nothing runs; those of a user only by the user's manager.
        if self.running or not self.places.user:
            yield self.systemctl("enable", UNIT)
        if start and self.running:
            flag = " --user" if self.places.user else ""
            # Without it a service that was given up may not be started by hand either, for the rest of the hour.
            yield self.systemctl("reset-failed", UNIT, optional="it had not failed")
            yield self.systemctl("restart", UNIT, mend=f"{environment / 'bin' / SERVICE} service logs{flag}")

    def stopped(self) -> Iterator[Run]:
        """Not now, and not at the next boot."""
        now = ("--now",) if self.running else ()
        yield self.systemctl("disable", *now, UNIT, optional="it was not enabled")

    def account_removed(self) -> Run:
        """The service's user goes."""
        root = () if self.root is None else ("--root", str(self.root))
        return Run(("userdel", *root, SERVICE), optional="the account stays")

    def _root(self) -> tuple[str, ...]:
        return () if self.root is None else (f"--root={self.root}",)
