"""`parity.json` of a bundle: what its source answered for a few made pictures, so that it is not needed again.

The pictures are made from integers (emomusic_edge.made_pictures), so that no picture of anybody lies in a bundle. An
engine built on a device, and `export verify`, are held against these answers without the checkpoint. The source is
PyTorch's model, for int8 the graph itself as it stands (emomusic_edge.export.gates.parity says why).
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emomusic_edge.errors import ModelError
from emomusic_edge.made_pictures import made_picture

PARITY_NAME = "parity.json"

Pair = tuple[float, float]


class ParityRecord(BaseModel):
    """Answers of the source of an `mc_dropout` bundle, in FindingEmo units (valence, arousal)."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    schema_version: Literal[1] = 1
    reference: str = Field(description="what answered, e.g. `PyTorch 2.13.0`")
    pictures: int = Field(ge=1, le=16, description="P: the made pictures 0 to P - 1, as the model sees them")
    mask_width: int = Field(ge=1, le=65536, description="K")
    kept: tuple[Annotated[str, Field(pattern=r"^([0-9a-f]{2})+$")], ...] = Field(
        min_length=2, max_length=128, description="T rows: which units a mask keeps, bits packed from the left, in hex"
    )
    deterministic: tuple[Pair, ...] = Field(description="P answers with masks of ones")
    samples: tuple[tuple[Pair, ...], ...] = Field(description="P times T answers, one for each mask row")

    @model_validator(mode="after")
    def _sizes_agree(self) -> ParityRecord:
        rows = len(self.kept)
        if len(self.deterministic) != self.pictures or len(self.samples) != self.pictures:
            raise ValueError(f"{self.pictures} pictures are named, answers to as many are expected")
        if any(len(answers) != rows for answers in self.samples):
            raise ValueError(f"{rows} mask rows are given, as many samples of each picture are expected")
        if any(len(row) != 2 * -(-self.mask_width // 8) for row in self.kept):
            raise ValueError(f"a mask row of {self.mask_width} bits has {2 * -(-self.mask_width // 8)} hex digits")
        return self

    def masks(self, p: float) -> NDArray[np.float32]:
        """The mask rows, float32 [T, K]: 0 or 1 / (1 - p).

        Args:
            p: the dropout probability, 0..1.
        """
        packed = np.array([list(bytes.fromhex(row)) for row in self.kept], np.uint8)
        kept = np.unpackbits(packed, axis=1, count=self.mask_width)
        return np.divide(kept, 1.0 - p, dtype=np.float32)

    def images(self, height_px: int, width_px: int) -> list[NDArray[np.uint8]]:
        """The P pictures, uint8 [1, H, W, 3] each."""
        return [made_picture(number, height_px, width_px) for number in range(self.pictures)]


def packed_rows(kept: NDArray[np.bool_]) -> tuple[str, ...]:
    """Mask rows as `ParityRecord.kept` has them.

    Args:
        kept: bool [T, K].
    """
    return tuple(row.tobytes().hex() for row in np.packbits(kept, axis=1))


def parse_parity_record(content: bytes) -> ParityRecord:
    """Read a record.

    Args:
        content: of `parity.json`, its hash checked by the caller.

    Raises:
        ModelError: it is not one.
    """
    try:
        return ParityRecord.model_validate_json(content)
    except ValidationError as cause:
        raise ModelError(f"{PARITY_NAME} is not a valid record: {cause.errors()[0]['msg']}.") from cause
