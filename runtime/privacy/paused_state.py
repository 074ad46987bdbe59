"""Whether the camera may be open, in a small file, so that a pause and `camera` `OFF` outlast a restart."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from emomusic_edge.artefacts import remove_parts, write_atomic
from emomusic_edge.runtime.kept_trying import RETRY_S, KeptTrying

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

    def __init__(self, path: Path | None = None, *, retry_s: float = RETRY_S) -> None:
        """Read what was kept.

        Args:
            path: the file; None keeps the wishes for the life of the process, e.g. where a file is played.
            retry_s: how long to wait before what could not be written is tried again.
        """
        self._path = path
        self._unread = ""
        self._kept: KeptTrying | None = None
        if path is not None:
            costs = "after a restart the camera may open, or stay closed, against what was said last"
            self._kept = KeptTrying(path, lambda: self._write(path), costs=costs, retry_s=retry_s)
        self._wishes = CameraWishes() if path is None else self._load(path)

    @property
    def now(self) -> CameraWishes:
        """What holds."""
        return self._wishes

    @property
    def reason(self) -> str:
        """Why the file is not what it should be, and what that means for the camera; empty when all is well."""
        return self._unread or ("" if self._kept is None else self._kept.reason)

    def set(self, wishes: CameraWishes) -> None:
        """Have these hold, and outlast the process; where the file cannot be written now, that is tried again."""
        if wishes == self._wishes and not self.reason:
            return
        self._wishes, self._unread = wishes, ""
        if self._kept is not None:
            self._kept.write()

    def _write(self, path: Path) -> None:
        wishes = self._wishes
        if wishes.open:
            path.unlink(missing_ok=True)
            remove_parts(path)
        else:
            stored = _Stored(camera_on=wishes.on, paused=wishes.paused)
            write_atomic(path, stored.model_dump_json() + "\n", mode=0o600)

    def _load(self, path: Path) -> CameraWishes:
        try:
            with path.open("rb") as file:
                content = file.read(_MAX_BYTES)
            stored = _Stored.model_validate_json(content)
        except FileNotFoundError:
            return CameraWishes()
        except (OSError, ValidationError) as error:
            why = "is of no use" if isinstance(error, ValidationError) else f"cannot be read ({error.strerror})"
            self._unread = f"{path} {why}: the camera stays closed until {OPEN_AGAIN}"
            _log.warning("%s", self._unread)
            return CameraWishes(on=False, paused=True)
        return CameraWishes(on=stored.camera_on, paused=stored.paused)
