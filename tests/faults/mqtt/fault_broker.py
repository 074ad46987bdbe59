"""mosquitto with a login, TLS and a memory on disk, whose password and certificate may be changed while it runs."""

from __future__ import annotations

import getpass
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from broker import DEADLINE_S, free_port, program, wait_until

USER = "edge"
HOST = "localhost"


class FaultBroker:
    """Two doors: TCP with TLS and a login for the device, a unix socket without either for the tests' own clients.

    Attributes:
        port: of the TCP door, on 127.0.0.1.
        unix_socket: the other door.
        ca: the certificate that a device is to trust.
        password: the one that lets a device in now.
    """

    def __init__(
        self, folder: Path, *, tls: bool = True, login: bool = True, environment: dict[str, str] | None = None
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.unix_socket = folder / "mqtt.sock"
        self.password = "first"
        self._folder = folder
        self._environment = environment
        self._passwords = folder / "passwords"
        self._log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        lines = [
            f"user {getpass.getuser()}",
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 2",
            # A flood is to reach the device, so that its answers can be counted.
            "max_queued_messages 20000",
            "log_timestamp_format %H:%M:%S",
            "per_listener_settings true",
            f"listener 0 {self.unix_socket}",
            "allow_anonymous true",
            f"listener {self.port} 127.0.0.1",
            f"allow_anonymous {str(not login).lower()}",
        ]
        if login:
            self._write_password()
            lines.append(f"password_file {self._passwords}")
        self.ca = folder / "ours.pem"
        if tls:
            certificate_authority(folder, "ours")
            certificate_authority(folder, "another")
            self.install_certificate("ours")
            lines += [f"certfile {folder / 'server.pem'}", f"keyfile {folder / 'server.key'}", f"cafile {self.ca}"]
        self._config = folder / "mosquitto.conf"
        self._config.write_text("\n".join([*lines, ""]), encoding="utf-8")

    @property
    def log(self) -> str:
        """All that it said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def client_ids(self, node: str) -> list[str]:
        """The names under which a device of this node came in, oldest first."""
        return re.findall(rf"New client connected from \S+ as (emomusic-{node}-\S+)", self.log)

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("mosquitto"), "-c", str(self._config)],
                stdout=log,
                stderr=log,
                env={**os.environ, **(self._environment or {})},
            )
        wait_until(self._answers, lambda: f"mosquitto to listen; it says {self.log[-500:]}")

    def _answers(self) -> bool:
        process = self._process
        assert process is not None
        assert process.poll() is None, f"mosquitto ended: {self.log[-500:]}"
        if not self.unix_socket.exists():
            return False
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self) -> None:
        """Ask it to end, as a service manager does: it writes its memory to disk first."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once: what it had not written is lost."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def change_password(self, password: str) -> None:
        """From now on only this one lets in; who came in with another is thrown out."""
        self.password = password
        self._write_password()
        self._signal(signal.SIGHUP)

    def install_certificate(self, authority: str) -> None:
        """A new key and certificate of that authority, used for the next line on."""
        server_certificate(self._folder, self._folder / f"{authority}.pem", HOST)
        if self._process is not None:
            self._signal(signal.SIGHUP)
            # It reads them in its loop, which turns ten times a second at least; nothing tells when.
            time.sleep(0.3)

    def _write_password(self) -> None:
        command = [program("mosquitto_passwd"), "-b", "-c", str(self._passwords), USER, self.password]
        subprocess.run(command, check=True, capture_output=True)

    def _signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def _end(self, number: int) -> None:
        if self._process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(number)
        self._process.wait(DEADLINE_S)
        self._process = None
        self.unix_socket.unlink(missing_ok=True)


def certificate_authority(folder: Path, name: str) -> Path:
    certificate = folder / f"{name}.pem"
    _openssl(
        *("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj", f"/CN={name}"),
        *("-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", folder / f"{name}.key", "-out", certificate),
    )
    return certificate


def server_certificate(folder: Path, ca: Path, name: str) -> None:
    key, request, certificate, extensions = (folder / f"server.{end}" for end in ("key", "csr", "pem", "ext"))
    extensions.write_text(f"subjectAltName=DNS:{name}\nauthorityKeyIdentifier=keyid\n", encoding="utf-8")
    _openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout", key, "-out", request)
    _openssl(
        *("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca.with_suffix(".key"), "-CAcreateserial"),
        *("-days", 2, "-extfile", extensions, "-out", certificate),
    )


def _openssl(*arguments: object) -> None:
    subprocess.run([program("openssl"), *map(str, arguments)], check=True, capture_output=True)
