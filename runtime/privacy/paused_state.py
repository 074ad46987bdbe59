"""Whether the camera may be open, in a small file, so that a pause and `camera` `OFF` outlast a restart."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from emomusic_edge.artefacts import write_atomic

_log = logging.getLogger(__name__)

_MAX_BYTES = 4096
OPEN_AGAIN = "the commands `resume` and `camera` `ON` open it again"


@dataclass(frozen=True, slots=True)
class CameraWishes:
    """Two wishes, one camera.

    Attributes:
        on: what the command `camera` said last.
        paused: whether `pause` was said, and no `resume` since.
    """

    on: bool = True
    paused: bool = False

    @property
    def open(self) -> bool:
        """Whether the camera may be open: it is wanted, and nothing is paused."""
        return self.on and not self.paused


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    camera_on: bool
    paused: bool


class KeptWishes:
    """The wishes of this device; with a file they outlast the process.

    The file stands only while the camera is to stay closed. One that cannot be understood therefore means closed.
    """

    def __init__(self, path: Path | None = None) -> None:
        """Read what was kept.

        Args:
            path: the file; None keeps the wishes for the life of the process, e.g. where a file is played.
        """
        self._path = path
        self._reason = ""
        self._wishes = CameraWishes() if path is None else self._load(path)

    @property
    def now(self) -> CameraWishes:
        """What holds."""
        return self._wishes

    @property
    def reason(self) -> str:
        """Why the file is not what it should be, and what that means for the camera; empty when all is well."""
        return self._reason

    def set(self, wishes: CameraWishes) -> None:
        """Have these hold, and outlast the process; where the file cannot be written, `reason` says so."""
        if wishes == self._wishes and not self._reason:
            return
        self._wishes, self._reason = wishes, ""
        if self._path is None:
            return
        try:
            if wishes.open:
                self._path.unlink(missing_ok=True)
            else:
                stored = _Stored(camera_on=wishes.on, paused=wishes.paused)
                write_atomic(self._path, stored.model_dump_json() + "\n", mode=0o600)
        except OSError as error:
            after = "stay closed" if wishes.open else "open"
            self._complain(
                f"{self._path} cannot be written ({error.strerror or error}): after a restart the camera may {after}"
            )

    def _load(self, path: Path) -> CameraWishes:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES)
            stored = _Stored.model_validate_json(content)
        except FileNotFoundError:
            return CameraWishes()
        except (OSError, ValidationError) as error:
            why = "is of no use" if isinstance(error, ValidationError) else f"cannot be read ({error.strerror})"
            self._complain(f"{path} {why}: the camera stays closed until {OPEN_AGAIN}")
            return CameraWishes(on=False, paused=True)
        return CameraWishes(on=stored.camera_on, paused=stored.paused)

    def _complain(self, reason: str) -> None:
        self._reason = reason
        _log.warning("%s", reason)
