"""A broker that knows its users: each with the password SECRET, bound to an access list."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from broker import Broker, program
from pages import blocks

SECRET = "secret"


def access_list_in(page: str) -> str:
    """The access list for devices and Home Assistant, as docs/mqtt.md has it."""
    (rules,) = [block for block in blocks(page, "text") if "emomusic/%u/#" in block]
    return rules


@contextmanager
def guarded(folder: Path, access_list: str, *users: str) -> Iterator[Broker]:
    """A real mosquitto that lets in these users alone, and each of them to what the list gives."""
    access, passwords = folder / "access", folder / "passwords"
    access.write_text(access_list)
    for user in users:
        create = [] if passwords.exists() else ["-c"]
        line = [program("mosquitto_passwd"), *create, "-b", str(passwords), user, SECRET]
        subprocess.run(line, check=True, capture_output=True)
    broker = Broker(folder, f"password_file {passwords}", f"acl_file {access}", anonymous=False)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def client_line(tool: str, broker: Broker, user: str) -> list[str]:
    """The beginning of a command line of mosquitto's clients, with the login of a user."""
    return [program(tool), "-h", "127.0.0.1", "-p", str(broker.port), "-u", user, "-P", SECRET]
