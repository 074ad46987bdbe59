"""By what a machine knows itself again: a copy of its card, put into another machine, is not the same device."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

Marks: TypeAlias = Mapping[str, tuple[str, ...]]
"""Twelve hexadecimal digits of each hashed mark, by kind: `machine`, `board`, `network`; an unknown kind is absent."""

_DIGITS = 12
# machine-id(5) asks programs not to show it, and a serial number is nobody's business: hashed for this use alone.
_HASHED_FOR = "emomusic-edge marks"
_MACHINE_ID = "etc/machine-id"
# A Jetson's and a Raspberry Pi's, readable by all; a PC's, for root alone.
_BOARD_SERIALS = ("sys/firmware/devicetree/base/serial-number", "sys/class/dmi/id/product_serial")
_NETWORK = "sys/class/net"
# include/uapi/linux/netdevice.h: NET_ADDR_PERM. One that was drawn or set is not the card's own.
_PERMANENT = "0"


def machine_marks(root: Path = Path("/")) -> Marks:
    """What of this machine can be read: the id of its system, its board's serial number, its network cards' addresses.

    Args:
        root: the folder that holds `etc` and `sys`.
    """
    boards = (value for name in _BOARD_SERIALS if (value := _text(root / name)))
    found = {
        "machine": [_text(root / _MACHINE_ID)],
        "board": [next(boards, "")],
        "network": sorted(_permanent_addresses(root / _NETWORK)),
    }
    hashed = {kind: tuple(_hashed(kind, value) for value in values if value) for kind, values in found.items()}
    return {kind: marks for kind, marks in hashed.items() if marks}


def another_machine(before: Marks, now: Marks) -> str:
    """Which kind of mark says that `before` was another machine; empty where none does.

    Kinds that only one of them knows say nothing: some are for root alone. Of several network cards one that is the
    same will do.
    """
    differing = (kind for kind in before if kind in now and not set(before[kind]) & set(now[kind]))
    return next(differing, "")


def _text(path: Path) -> str:
    try:
        # A device tree ends its texts with a zero.
        return path.read_bytes().strip(b"\0 \t\r\n").decode("utf-8", "replace")
    except OSError:
        return ""


def _permanent_addresses(folder: Path) -> Iterator[str]:
    """Of the cards that are built in: what is plugged into USB wanders from machine to machine."""
    try:
        cards = list(folder.iterdir())
    except OSError:
        return
    for card in cards:
        device = card / "device"
        # Bridges, tunnels and a container's own have no device.
        if not device.exists() or any(part.startswith("usb") for part in device.resolve().parts):
            continue
        if _text(card / "addr_assign_type") == _PERMANENT:
            yield _text(card / "address")


def _hashed(kind: str, value: str) -> str:
    return hashlib.sha256(f"{_HASHED_FOR}:{kind}:{value}".encode()).hexdigest()[:_DIGITS]
