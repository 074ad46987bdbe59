"""The message `claim`: by it two runs that bear one node's name find each other."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .base import Message, NotNegative


class ClaimMessage(Message):
    """Which run bears this node's name. Of two that do, the one that has run for less time stops."""

    run: Annotated[
        str, Field(pattern="^[0-9a-f]{8,32}$", description="The run, by a number drawn at its start (hexadecimal).")
    ]
    uptime_s: Annotated[NotNegative, Field(description="Seconds that it has run.")]
