"""The settings of privacy: the notice and the history."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from emomusic_edge.config.fields import About, NameOrPath, Section

# privacy.notice, where it is no path
NOTICE_SHOWN, NOTICE_OFF = "screen", "off"


def _notice(value: str) -> str:
    if value not in (NOTICE_SHOWN, NOTICE_OFF) and "/" not in value:
        raise ValueError(f"neither {NOTICE_SHOWN}, {NOTICE_OFF} nor a path (it holds a /)")
    return value


class PrivacySettings(Section):
    """What people in the room are told, and what is kept of them; see docs/privacy.md."""

    notice: Annotated[
        NameOrPath,
        AfterValidator(_notice),
        Field(description="At the start: `screen` shows the notice, a sound file is played too, `off` says nothing."),
        About(form="screen, off, or a sound file's path"),
    ] = NOTICE_SHOWN
    history_h: Annotated[
        float,
        Field(ge=0, le=24, description="How long means of a minute are kept in the data folder; 0 keeps nothing."),
        About(unit="hours"),
    ] = 0.0
