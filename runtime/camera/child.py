"""The process that holds the camera: opens it, reads it without pause, and hands over the newest picture when asked.

    python -m emomusic_edge.runtime.camera.child SOCKET SLOT PARENT

ChildCamera starts it with two inherited descriptors, a socket and a picture slot, and its own process id. Over the
socket go JSON messages, one a packet:

    to the child    {"make": "module:name", "with": {…}}   once: the source to build
                    {"open": true}                         once: open it; no device is touched before
                    {"want": true}                         a picture, newer than this message
    to the parent   {"opened": true}
                    {"picture": [captured_at_s, height_px, width_px], "trouble": "…"}   it stands in the slot
                    {"error": "…", "mend": "…"}            and the child ends

The slot is written only between a `want` and its `picture`, and read only between a `picture` and the next `want`. The
socket orders the two on every processor, so that no picture is torn and none needs a lock.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import Any

from emomusic_edge.contracts import FrameSource
from emomusic_edge.errors import EmomusicError, SourceError
from emomusic_edge.runtime.privacy.no_core import dump_no_core

from .picture_slot import PictureSlot

# linux/prctl.h
_PR_SET_PDEATHSIG = 1

# No message is longer; an error's text is cut.
PACKET_BYTES = 8192
_TOLD_CHARACTERS = 1000


def main(arguments: list[str]) -> int:
    """Run until the camera fails or the parent is gone; the exit code is 0 either way."""
    descriptor, slot, parent = (int(each) for each in arguments)
    _end_with(parent)
    dump_no_core()
    # Ctrl-C and a service manager reach every process; the parent decides when this one ends.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as control:
        try:
            _serve(control, PictureSlot(slot))
        except (BrokenPipeError, ConnectionResetError):
            pass  # the parent is gone, or wants no more of this child
        except EmomusicError as error:
            _tell(control, str(error), error.mend)
        except Exception as error:  # noqa: BLE001 - told by the parent, who opens the camera again
            _tell(control, f"{type(error).__name__}: {error}")
    # The camera is closed by the kernel; taking Python and OpenCV down in order would take tens of milliseconds.
    os._exit(0)


def _serve(control: socket.socket, slot: PictureSlot) -> None:
    order = json.loads(control.recv(PACKET_BYTES) or "null")
    if order is None:
        return
    source = _source(order["make"], order["with"])
    if not control.recv(PACKET_BYTES):
        return
    source.open()
    _send(control, {"opened": True})
    control.setblocking(False)
    wanted = False
    while True:
        frame = source.read()
        if frame is None:
            raise SourceError(f"{source.name} has come to its end; a camera has none.")
        try:
            if not control.recv(PACKET_BYTES):
                return
            wanted = True
        except BlockingIOError:
            pass
        if wanted:
            slot.put(frame.image)
            height_px, width_px = frame.image.shape[:2]
            trouble = str(getattr(source, "trouble", ""))[:_TOLD_CHARACTERS]
            _send(control, {"picture": [frame.captured_at_s, height_px, width_px], "trouble": trouble})
            wanted = False


def _source(make: str, arguments: dict[str, Any]) -> FrameSource:
    module, _, name = make.partition(":")
    source: FrameSource = getattr(importlib.import_module(module), name)(**arguments)
    return source


def _tell(control: socket.socket, error: str, mend: str = "") -> None:
    with suppress(OSError):
        _send(control, {"error": error[:_TOLD_CHARACTERS], "mend": mend[:_TOLD_CHARACTERS]})


def _send(control: socket.socket, message: dict[str, Any]) -> None:
    control.setblocking(True)
    try:
        control.send(json.dumps(message).encode())
    finally:
        control.setblocking(False)


def _end_with(parent: int) -> None:
    """Have the kernel kill this process when the parent's thread that started it ends, however it does."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
