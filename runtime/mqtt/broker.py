"""Where the broker is and how to talk to it, refused at once when it cannot work or would leak."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from emomusic_edge.config.mqtt import (
    DEVICE_ID_FORM,
    DEVICE_ID_PATTERN,
    NODE_FORM,
    NODE_PATTERN,
    MqttSettings,
    password_file,
    read_password,
)
from emomusic_edge.errors import BrokerError
from emomusic_edge.loopback import is_loopback

Protocol = Literal["5", "3.1.1"]

_FILES = {
    "ca_file": "Copy the broker's CA certificate there.",
    "client_cert_file": "Copy the certificate that your broker's CA issued for this device there.",
    "client_key_file": "Copy the key of mqtt.client_cert_file there, readable to the user that runs this alone.",
}


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """Where the broker is and how to talk to it; what cannot work is refused when it is made.

    Attributes:
        host: name or address of the broker.
        port: 1883 is the usual one for plaintext, 8883 for TLS.
        node: this device's name in the topics (config.mqtt.NODE_PATTERN).
        device_id: by what Home Assistant knows the device again when `node` changes (DEVICE_ID_PATTERN); empty for
            `node`.
        username, password: the login; empty for none.
        password_file: a file whose first line is the password; read again before each connection.
        protocol: `5`, or `3.1.1`, which knows no expiry, no delayed will, no bound on what a broker may send.
        tls: whether to speak TLS; the broker's certificate and name are always verified.
        ca_file: the certificates (PEM) to trust instead of the system's.
        client_cert_file, client_key_file: our own certificate (PEM) and its key, for brokers that want one.
        alpn: what is asked for within TLS (RFC 7301), for brokers that share their port with others.
        allow_plaintext: whether feelings may cross the network unencrypted.
        keepalive_s: how long a dead line may go unnoticed, at most twice this.
        min_interval_s: each topic is told at most once in this time.
        repeat_s: and at least once in this time, so that a late listener soon knows all though nothing is retained.
        unix_socket: a broker on this machine, instead of host and port.

    Raises:
        BrokerError: plaintext would leave the machine without leave, or a setting is out of bounds.
    """

    host: str = "127.0.0.1"
    port: int = 1883
    node: str = "living-room"
    device_id: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: Path | None = None
    allow_plaintext: bool = False
    # 25 s after a line died unseen we are back: twice this until it is noticed, and the wait before the next attempt.
    keepalive_s: int = 8
    min_interval_s: float = 0.5
    repeat_s: float = 10.0
    unix_socket: Path | None = None
    password_file: Path | None = None
    protocol: Protocol = "5"
    client_cert_file: Path | None = None
    client_key_file: Path | None = None
    alpn: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(NODE_PATTERN, self.node):
            raise BrokerError(
                f"mqtt.node is {self.node!r}; expected {NODE_FORM}.",
                mend='Name the device by its room: mqtt.node = "living-room".',
            )
        if self.device_id and not re.fullmatch(DEVICE_ID_PATTERN, self.device_id):
            raise BrokerError(
                f"mqtt.device_id is {self.device_id!r}; expected {DEVICE_ID_FORM}.",
                mend="Leave it out: the device then makes its own.",
            )
        if self.unix_socket is None and not (_resolvable(self.host) and 1 <= self.port <= 65535):
            raise BrokerError(
                f"The broker's address is {self.where!r}; expected a host name or address and a port from 1 to 65535.",
                mend="Set mqtt.host and mqtt.port.",
            )
        if self.keepalive_s < 1 or not 0 < self.min_interval_s <= self.repeat_s:
            raise BrokerError(
                f"mqtt: keepalive_s is {self.keepalive_s}, min_interval_s {self.min_interval_s} and repeat_s "
                f"{self.repeat_s}; expected keepalive_s of 1 or more and 0 < min_interval_s <= repeat_s."
            )
        for setting, mend in _FILES.items():
            file = getattr(self, setting)
            if file is not None and not file.is_file():
                raise BrokerError(f"mqtt.{setting} {file} is not a file.", mend=mend)
        if self.client_key_file is not None and self.client_cert_file is None:
            raise BrokerError(
                "mqtt.client_key_file is set without mqtt.client_cert_file.", mend="Set both, or leave both out."
            )
        if not (self.tls or self.stays_here or self.allow_plaintext):
            raise BrokerError(
                f"The broker {self.where} is on another machine and mqtt.tls is off: feelings would cross the "
                "network in plaintext.",
                mend="Set mqtt.tls = true (port 8883), or mqtt.allow_plaintext = true if you accept that.",
            )

    @classmethod
    def of(cls, mqtt: MqttSettings) -> BrokerSettings:
        """As the config says; what it leaves open is settled here.

        Raises:
            BrokerError: it cannot work, or would leak.
        """
        return cls(
            host=mqtt.host,
            port=mqtt.effective_port,
            node=mqtt.node,
            device_id=mqtt.device_id or "",
            username=mqtt.username or "",
            password=read_password(mqtt),
            password_file=password_file(mqtt),
            protocol=mqtt.protocol,
            tls=mqtt.encrypted,
            ca_file=mqtt.ca_file,
            client_cert_file=mqtt.client_cert_file,
            client_key_file=mqtt.client_key_file,
            alpn=mqtt.alpn or "",
            allow_plaintext=mqtt.allow_plaintext,
            min_interval_s=mqtt.min_interval_s,
            unix_socket=mqtt.unix_socket,
        )

    @property
    def stays_here(self) -> bool:
        """Whether the way to the broker stays within this machine."""
        return self.unix_socket is not None or is_loopback(self.host)

    @property
    def encrypted(self) -> bool:
        """Whether what is said is encrypted on its way."""
        return self.tls and self.unix_socket is None

    @property
    def where(self) -> str:
        """The address, as messages call it."""
        return str(self.unix_socket) if self.unix_socket is not None else f"{self.host}:{self.port}"

    def topic(self, name: str) -> str:
        """The full topic, e.g. `emomusic/living-room/state` for `state`."""
        return f"emomusic/{self.node}/{name}"


def _resolvable(host: str) -> bool:
    """Whether the resolver can be asked for it; it raises no OSError for others, and paho expects nothing else."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False
