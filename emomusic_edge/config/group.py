"""The settings of a group of rooms; see docs/groups.md."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from emomusic_edge.config.fields import About, Section
from emomusic_edge.config.mqtt import NODE_PATTERN


class GroupSettings(Section):
    """Rooms that play together; see docs/groups.md."""

    name: Annotated[
        str | None,
        Field(pattern=NODE_PATTERN, description="The group; devices of one name, on one broker, play together."),
        About(
            unset="none: the device plays alone",
            example='"downstairs"',
            form="1 to 64 of a-z, 0-9, _ and -, no _ or - first",
        ),
    ] = None
    play: Annotated[
        Literal["song", "mood"], Field(description="Whether the rooms play the very same song, or to the same mood.")
    ] = "song"
