"""Why the broker does not have us, in one line each: what it refused, and what an end of the line means."""

from __future__ import annotations

from collections.abc import Sequence

from .broker import BrokerSettings

_KEEPALIVE = "Keep alive timeout"


def why_refused(settings: BrokerSettings, code: str) -> str:
    """Why a broker that answered did not take us in.

    Args:
        settings: where it is.
        code: the name of the reason code it gave.
    """
    where = settings.where
    if code in ("Not authorized", "Bad user name or password", "Banned"):
        who = f"of user {settings.username!r}" if settings.username else "without a user name"
        return f"broker {where} refused the login {who}: set mqtt.username and the password in mqtt.password_file"
    if code == "Unsupported protocol version":
        return f'broker {where} does not speak MQTT {settings.protocol}: set mqtt.protocol = "3.1.1"'
    if code == "Retain not supported":
        return f"broker {where} keeps no messages (retain), which availability needs: set retain_available true there"
    return f"broker {where} refused the connection: {code}"


def why_lost(settings: BrokerSettings, code: str) -> str:
    """Why a line that stood does so no more.

    Args:
        settings: where the broker is.
        code: the name of the reason code, the broker's or paho's.
    """
    if code == _KEEPALIVE:
        return f"broker {settings.where} has fallen silent; connecting anew"
    return f"broker {settings.where} went away ({code}); reconnecting"


def why_unanswered(settings: BrokerSettings, code: str) -> str:
    """Why a line that was taken came to nothing, where the broker said no word.

    Args:
        settings: where it is.
        code: the name of paho's reason code.
    """
    if code == _KEEPALIVE:
        return f"broker {settings.where} takes the connection but says nothing: is it stuck, or another program?"
    return f"broker {settings.where} hung up without an answer: is this the port for TLS, or for plaintext?"


def why_kept_out(settings: BrokerSettings, topic: str) -> str:
    """The broker refused what we told."""
    return f"broker {settings.where} takes nothing from us on {topic}: allow it in the broker's access list"


def why_unread(settings: BrokerSettings, patterns: Sequence[str]) -> str:
    """The broker refused what we want to hear."""
    return (
        f"broker {settings.where} lets us read no {', '.join(patterns)}: "
        "what is sent there does not arrive; allow it in the broker's access list"
    )


def why_too_large(settings: BrokerSettings, packet_bytes: int, topic: str, size_bytes: int) -> str:
    """A message is larger than the packets that the broker takes."""
    return (
        f"broker {settings.where} takes packets of at most {packet_bytes} bytes, and {topic} needs {size_bytes}: "
        "raise max_packet_size there"
    )


def why_not_taken(what: str, error: Exception) -> str:
    """A part of ours failed on a message; what the error says is not told, as a feeling may stand in it."""
    return f"{what} could not be taken ({type(error).__name__}): a fault of this program, please report it with the log"
