"""The settings of the MQTT connection, and what follows from them: socket, encryption, port."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, model_validator

from emomusic_edge.config.fields import About, FilePath, Section, Text
from emomusic_edge.errors import BrokerError
from emomusic_edge.loopback import is_loopback

MQTT_PORT = 1883
MQTT_TLS_PORT = 8883
CREDENTIAL = "mqtt-password"
NODE_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,63}$"
NODE_FORM = "1 to 64 of a-z, 0-9, _ and -, no _ or - first"
DEVICE_ID_PATTERN = r"^[A-Za-z0-9_-]{1,64}$"
DEVICE_ID_FORM = "1 to 64 of a-z, A-Z, 0-9, _ and -"


# machine-id(5) asks programs not to show it: what is shown is hashed, and of no use for other programs' hashes.
_MACHINE_ID = Path("/etc/machine-id")
_HASHED_FOR = b"emomusic-edge:"
_HASH_DIGITS = 6
_DEVICE_DIGITS = 12


def _machine_digits(machine_id: Path, count: int) -> str:
    """So many hexadecimal digits of the hashed machine id; empty where there is none."""
    try:
        found = machine_id.read_bytes().strip()
    except OSError:
        found = b""
    return hashlib.sha256(_HASHED_FOR + found).hexdigest()[:count] if found else ""


def default_node(machine_id: Path = _MACHINE_ID) -> str:
    """This machine in the topics: its host name and what tells it from others of that name (`jetson-5f01c9`).

    The host name (up to the first dot) as an MQTT topic level, lower case, a-z, 0-9, `_` and `-`; then six digits of
    the SHA-256 of the machine id, left out where there is none. Machines of one image are often called alike.
    """
    label = socket.gethostname().split(".")[0].lower()
    label = re.sub(r"[^a-z0-9_-]", "-", label)[: 63 - _HASH_DIGITS].strip("-_") or "emomusic"
    digits = _machine_digits(machine_id, _HASH_DIGITS)
    return f"{label}-{digits}" if digits else label


def default_device_id(machine_id: Path = _MACHINE_ID) -> str | None:
    """What this machine is known by whatever it is called: twelve digits of the hashed machine id; None without one."""
    return _machine_digits(machine_id, _DEVICE_DIGITS) or None


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
        About(
            unset="the host name and six digits of the machine's id, hashed",
            example='"living-room"',
            form=NODE_FORM,
        ),
    ] = Field(
        default_factory=default_node,
        pattern=NODE_PATTERN,
        description="This device in the topics: `emomusic/<node>/…`.",
    )
    device_id: Annotated[
        str | None,
        About(
            unset="twelve digits of the machine's id, hashed; `node` where there is none",
            example='"hall-device"',
            form=DEVICE_ID_FORM,
        ),
    ] = Field(
        default_factory=default_device_id,
        pattern=DEVICE_ID_PATTERN,
        description="By what Home Assistant knows this device again, whatever `node` is.",
    )
    username: Annotated[Text | None, Field(description="The broker account."), About(example='"emomusic"')] = None
    password: Annotated[
        SecretStr | None,
        Field(min_length=1, max_length=1024, description="The account's password; better kept in `password_file`."),
        About(example='"…"', form="text of 1 to 1024 characters"),
    ] = None
    password_file: Annotated[
        FilePath | None,
        Field(description="A file whose first line is the password; read again before each connection."),
        About(
            unset="the systemd credential `mqtt-password`, where there is one",
            example='"~/.config/emomusic-edge/mqtt-password"',
            form="a path",
        ),
    ] = None
    protocol: Annotated[
        Literal["5", "3.1.1"],
        Field(description="The version of MQTT; 3.1.1 only for brokers that know no other (see docs/mqtt.md)."),
    ] = "5"
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
    client_cert_file: Annotated[
        FilePath | None,
        Field(description="This device's own certificate (PEM), for brokers that want one."),
        About(example='"/etc/emomusic-edge/device.pem"', form="a path"),
    ] = None
    client_key_file: Annotated[
        FilePath | None,
        Field(description="The unencrypted key (PEM) of `client_cert_file`."),
        About(unset="looked for in `client_cert_file`", example='"/etc/emomusic-edge/device.key"', form="a path"),
    ] = None
    alpn: Annotated[
        Text | None,
        Field(description="The protocol asked for within TLS (ALPN), for brokers that share their port."),
        About(example='"mqtt"'),
    ] = None
    allow_plaintext: Annotated[
        bool, Field(description="Allow TLS to be off towards another machine: the whole network can then listen.")
    ] = False
    home_assistant: Annotated[
        bool, Field(description="Whether the device announces itself to Home Assistant (MQTT discovery).")
    ] = True
    discovery_prefix: Annotated[
        str,
        Field(
            pattern=r"^[^\x00-\x1f\x7f#+/]+(/[^\x00-\x1f\x7f#+/]+)*$", description="Home Assistant's discovery topics."
        ),
    ] = "homeassistant"
    min_interval_s: Annotated[
        float, Field(ge=0.05, le=10, description="The state is published no more often than this.")
    ] = 0.5

    @model_validator(mode="after")
    def _credentials_fit(self) -> MqttSettings:
        if self.password is not None and self.password_file is not None:
            raise ValueError("mqtt.password and mqtt.password_file are both set, expected one of them")
        if self.username is None and (self.password is not None or self.password_file is not None):
            raise ValueError("mqtt.password or mqtt.password_file is set without mqtt.username")
        if self.tls and self.unix_socket is not None:
            raise ValueError("mqtt.tls is on for a unix socket, which has none; leave it out")
        if self.client_key_file is not None and self.client_cert_file is None:
            raise ValueError("mqtt.client_key_file is set without mqtt.client_cert_file")
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


def password_file(mqtt: MqttSettings) -> Path | None:
    """The file that holds the password: as set, else systemd's credential `mqtt-password`; None without either.

    systemd.exec(5): LoadCredential= puts it into a folder that only the service's user reads.
    """
    if mqtt.password_file is not None or mqtt.password is not None or mqtt.username is None:
        return mqtt.password_file
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = Path(folder) / CREDENTIAL if folder else None
    # The unit gives an empty one where there is no password.
    return credential if credential is not None and credential.is_file() and credential.read_bytes().strip() else None


def read_password(mqtt: MqttSettings) -> str:
    """The password as set, or the first line of its file; empty where neither is.

    Raises:
        BrokerError: the file is missing, unreadable or holds no password.
    """
    if mqtt.password is not None:
        return mqtt.password.get_secret_value()
    file = password_file(mqtt)
    return "" if file is None else read_password_file(file)


def read_password_file(file: Path) -> str:
    """The first line of a password file.

    Raises:
        BrokerError: the file is missing, unreadable or holds no password.
    """
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as cause:
        reason = (cause.strerror or str(cause)) if isinstance(cause, OSError) else "it is not UTF-8 text"
        raise BrokerError(
            f"mqtt.password_file {file} cannot be read: {reason}.",
            mend="Write the password on the first line of that file, readable to the user that runs this.",
        ) from None
    if not lines or not lines[0]:
        raise BrokerError(
            f"mqtt.password_file {file} is empty, expected the password on its first line.",
            mend="Write it there, or leave out mqtt.username and mqtt.password_file.",
        )
    return lines[0]
