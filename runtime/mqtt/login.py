"""The password, read anew where it lies in a file, so that a changed one needs no restart."""

from __future__ import annotations

import logging

from emomusic_edge.config.mqtt import read_password_file
from emomusic_edge.errors import BrokerError

from .broker import BrokerSettings

_log = logging.getLogger(__name__)


def password_now(settings: BrokerSettings) -> str:
    """The password as it stands now; the one of the start where its file cannot be read any more."""
    if settings.password_file is None:
        return settings.password
    try:
        return read_password_file(settings.password_file)
    except BrokerError as error:
        _log.warning("%s", error)
        return settings.password
