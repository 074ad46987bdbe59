"""What all messages share: strictness, and the kinds of value that stand in several of them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, WithJsonSchema


def _iso_utc(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


WallTime = Annotated[
    AwareDatetime,
    PlainSerializer(_iso_utc, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "description": "When it was made, in UTC."}),
]
"""Told as ISO 8601 in UTC with milliseconds: `2026-11-22T23:05:07.120Z`."""

Text = Annotated[str, Field(min_length=1)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NotNegative = Annotated[float, Field(ge=0.0)]


class Message(BaseModel):
    """Base of all messages: unknown fields, wrong kinds and numbers that are not finite are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)

    def payload(self) -> str:
        """The message as JSON."""
        return self.model_dump_json()
