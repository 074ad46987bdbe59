"""How long the broker's certificate still holds, read in a handshake of its own."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass

from emomusic_edge.errors import BrokerError
from emomusic_edge.runtime.mqtt.broker import BrokerSettings
from emomusic_edge.runtime.mqtt.tls import context_of

_HANDSHAKE_S = 10.0
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a verified handshake told.

    Attributes:
        not_after: when it ends, in OpenSSL's words (`Jun  1 12:00:00 2027 GMT`).
        protocol: the version of TLS.
    """

    not_after: str
    protocol: str


def read_certificate(settings: BrokerSettings) -> Certificate | None:
    """The broker's, verified as a run verifies it; None where there is no such handshake."""
    try:
        with (
            socket.create_connection((settings.host, settings.port), timeout=_HANDSHAKE_S) as plain,
            context_of(settings).wrap_socket(plain, server_hostname=settings.host) as line,
        ):
            not_after = (line.getpeercert() or {}).get("notAfter")
            return Certificate(not_after, line.version() or "TLS") if isinstance(not_after, str) else None
    except (OSError, ValueError, BrokerError):
        return None


def days_left(not_after: str, now_s: float) -> int:
    """Whole days until a certificate ends, counted from a moment in seconds since 1970; negative after it.

    Raises:
        ValueError: the date is in no form that OpenSSL writes.
    """
    return int((ssl.cert_time_to_seconds(not_after) - now_s) // _DAY_S)
