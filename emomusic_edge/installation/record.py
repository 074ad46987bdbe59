"""What an installation remembers: the answer it was given, the files it wrote, the choices made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from emomusic_edge.installation.errors import ServiceError


class InstallRecord(BaseModel):
    """`installed.json`, readable to all and writable to root alone.

    Attributes:
        version: of the package that was installed; empty once it was taken away.
        acknowledged: the version of the text that was agreed to; empty before.
        files: sha256 of each file as it was written, by path: what tells an owner's change from an older version.
        venv: the environment that the unit starts.
        venv_made: whether `service install` made it, and may take it away.
        jetson, private_network: the drop-ins chosen.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: Literal[1] = 1
    version: str = ""
    acknowledged: str = ""
    files: dict[str, str] = {}
    venv: str = ""
    venv_made: bool = False
    jetson: bool = False
    private_network: bool = False

    def text(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=2) + "\n"


def parse_record(text: str, path: Path) -> InstallRecord:
    """Read it back.

    Raises:
        ServiceError: it is none, or of a later version.
    """
    try:
        return InstallRecord.model_validate_json(text)
    except ValidationError as cause:
        first = cause.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ServiceError(
            f"{path} is not the record of an installation that this version reads: {where}: {first['msg']}.",
            mend=f"Move it away: sudo mv {path} {path}.saved. What you changed in the unit is kept as a copy.",
        ) from None
