"""The message on `cmd/<name>/result`: the answer to a command."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .base import Message, WallTime


class ResultMessage(Message):
    """The answer to a command."""

    at: WallTime
    ok: Annotated[
        bool, Field(description="Whether the command was understood; it is then carried out in the next step.")
    ]
    reason: Annotated[str, Field(description="Why it was refused; empty when `ok`.")]
