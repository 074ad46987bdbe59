"""The settings of the MQTT connection, and what follows from them: socket, encryption, port."""

from __future__ import annotations

import re
import socket
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, model_validator

from emomusic_edge.config.fields import About, FilePath, Section, Text
from emomusic_edge.errors import BrokerError
from emomusic_edge.loopback import is_loopback

MQTT_PORT = 1883
MQTT_TLS_PORT = 8883
NODE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def default_node() -> str:
    """This machine's host name (up to the first dot) as an MQTT topic level: lower case, a-z, 0-9, `_` and `-`."""
    label = socket.gethostname().split(".")[0].lower()
    return re.sub(r"[^a-z0-9_-]", "-", label)[:64].strip("-_") or "emomusic"


class MqttSettings(Section):
    """The connection to the smart home."""

    enabled: Annotated[bool, Field(description="Whether to connect at all.")] = True
    host: Annotated[Text, Field(description="The broker's name or address, or the path of its unix socket.")] = (
        "localhost"
    )
    port: Annotated[
        int | None,
        Field(ge=1, le=65535, description="The broker's port."),
        About(unset=f"{MQTT_PORT}, or {MQTT_TLS_PORT} with TLS", example=str(MQTT_PORT)),
    ] = None
    node: Annotated[
        str,
        About(unset="the host name", example='"living-room"', form="1 to 64 of a-z, 0-9, _ and -, no _ or - first"),
    ] = Field(
        default_factory=default_node,
        pattern=NODE_PATTERN,
        description="This device in the topics: `emomusic/<node>/…`.",
    )
    username: Annotated[Text | None, Field(description="The broker account."), About(example='"emomusic"')] = None
    password: Annotated[
        SecretStr | None,
        Field(min_length=1, max_length=1024, description="The account's password; better kept in `password_file`."),
        About(example='"…"', form="text of 1 to 1024 characters"),
    ] = None
    password_file: Annotated[
        FilePath | None,
        Field(description="A file whose first line is the password."),
        About(example='"~/.config/emomusic-edge/mqtt-password"', form="a path"),
    ] = None
    tls: Annotated[
        bool | None,
        Field(description="Whether to encrypt; the broker's certificate is always verified."),
        About(unset="on, but for loopback and unix sockets", example="true"),
    ] = None
    ca_file: Annotated[
        FilePath | None,
        Field(description="The certificate authority (PEM) that the broker's certificate is checked against."),
        About(unset="the system's authorities", example='"/etc/ssl/certs/home-ca.pem"', form="a path"),
    ] = None
    allow_plaintext: Annotated[
        bool, Field(description="Allow TLS to be off towards another machine: the whole network can then listen.")
    ] = False
    min_interval_s: Annotated[
        float, Field(ge=0.05, le=10, description="The state is published no more often than this.")
    ] = 0.5

    @model_validator(mode="after")
    def _credentials_fit(self) -> MqttSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("password and password_file are both set, expected one of them")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise ValueError("a password is set without a username")
        if self.tls and self.unix_socket is not None:
            raise ValueError("tls is on for a unix socket, which has none; leave it out")
        return self

    @property
    def unix_socket(self) -> Path | None:
        """The socket's path where `host` is one (`/run/mosquitto.sock`, `unix:/run/mosquitto.sock`), else None."""
        path = self.host[len("unix:") :] if self.host.startswith("unix:") else self.host
        return Path(path) if path.startswith("/") else None

    @property
    def local(self) -> bool:
        """Whether what is sent stays on this machine: a unix socket or a loopback address."""
        return self.unix_socket is not None or is_loopback(self.host)

    @property
    def encrypted(self) -> bool:
        """Whether TLS is used: as set, else everywhere but on this machine."""
        return not self.local if self.tls is None else self.tls

    @property
    def effective_port(self) -> int:
        """The port as set, else MQTT's own."""
        return self.port or (MQTT_TLS_PORT if self.encrypted else MQTT_PORT)


def read_password(mqtt: MqttSettings) -> str:
    """The password as set, or the first line of `password_file`; empty where neither is.

    Raises:
        BrokerError: the file is missing, unreadable or holds no password.
    """
    if mqtt.password is not None:
        return mqtt.password.get_secret_value()
    if mqtt.password_file is None:
        return ""
    try:
        lines = mqtt.password_file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as cause:
        reason = (cause.strerror or str(cause)) if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise BrokerError(
            f"mqtt.password_file {mqtt.password_file} cannot be read: {reason}.",
            mend="Write the password on the first line of that file, readable to the user that runs this.",
        ) from None
    if not lines or not lines[0]:
        raise BrokerError(
            f"mqtt.password_file {mqtt.password_file} is empty, expected the password on its first line.",
            mend="Write it there, or leave out mqtt.username and mqtt.password_file.",
        )
    return lines[0]
