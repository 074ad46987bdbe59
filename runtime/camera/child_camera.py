"""A camera that a process of its own opens and reads, so that a read that blocks or crashes costs that process only."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from emomusic_edge.contracts import Frame
from emomusic_edge.errors import SourceError

from .child import PACKET_BYTES
from .child_cpu import ChildCpu
from .child_start import start_child
from .picture_slot import PictureSlot, new_slot
from .usb import device_path, look_at

_log = logging.getLogger(__name__)

# So many processes that no signal ends (they hang in the camera's driver) are borne before no more are started.
_STUCK_MOST = 3

_OPEN_MOST_S = 20.0


class ChildCamera:
    """A live frame source whose device only a child process ever opens.

    The child is started at each `open()`, or before the first by `prepare()`, and killed at each `close()`: then no
    process holds the device. `interrupt` and `allow` may be called from any thread, the rest from one at a time.

    Args:
        make: the source to build in the child, `module:name`.
        arguments: its keyword arguments, of JSON's kinds.
        name: what to call it in messages.
        device: the device's path; what can be told by looking at it (it is missing, forbidden) starts no child.
        open_s: how long opening may take, and the first picture after it. Twice as long after each time that it was too
            short, up to 20 s, so that a machine that is busy while it boots gets there too.
        silence_s: how long the camera may give nothing afterwards before the child is killed.
        end_s: how long to wait for a killed child before it is left behind.
    """

    live = True

    def __init__(
        self,
        make: str,
        arguments: Mapping[str, Any],
        *,
        name: str,
        device: Path | None = None,
        open_s: float = 4.0,
        silence_s: float = 2.5,
        end_s: float = 0.5,
    ) -> None:
        self._make = make
        self._arguments = dict(arguments)
        self._name = name
        self._device = device
        self._open_s = open_s
        self._silence_s = silence_s
        self._end_s = end_s
        self._control: socket.socket | None = None
        self._slot: PictureSlot | None = None
        self._stuck: list[subprocess.Popen[bytes]] = []
        self._trouble = ""
        self._seq = 0
        # a child is there that has opened nothing yet
        self._prepared = False
        # None once a picture came
        self._opening_s: float | None = None
        self._next_open_s = open_s
        # guards the three below
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._interrupted = False
        self._cpu = ChildCpu()

    @property
    def name(self) -> str:
        """The device's path."""
        return self._name

    @property
    def trouble(self) -> str:
        """What is wrong though pictures come; empty when nothing is."""
        return self._trouble

    @property
    def pid(self) -> int | None:
        """The child's process id; None when there is none."""
        with self._lock:
            return self._child.pid if self._child else None

    def cpu_s(self) -> float:
        """CPU seconds that the children have used so far; from any thread."""
        with self._lock:
            return self._cpu.total_s(self._child)

    def prepare(self) -> None:
        """Start the child, so that its imports are done while others load; it opens nothing before `open()`.

        What is in the way of that is told by `open()`. The child ends with the thread that calls this.
        """
        with suppress(SourceError):
            self._begin()

    def open(self) -> None:
        """Have a child open the camera.

        Raises:
            SourceError: the camera does not open, took longer than `open_s`, or the child died.
        """
        if not (self._prepared and self._lives()):
            self._begin()
        self._prepared = False
        self._say({"open": True})
        patience_s = self._opening_s = self._next_open_s
        # taken back by the first picture
        self._next_open_s = max(min(2.0 * patience_s, _OPEN_MOST_S), self._open_s)
        self._hear(patience_s, f"{self.name} did not open within {patience_s:g} s")

    def _begin(self) -> None:
        """Start a child that builds the source; a former one ends."""
        self.close()
        if self._device is not None:
            # Told without a process: one every few seconds for a missing camera would be a waste.
            look_at(self._device, self.name)
        self._stuck = [child for child in self._stuck if child.poll() is None]
        if len(self._stuck) >= _STUCK_MOST:
            raise SourceError(
                f"{self.name} hangs in its driver: {len(self._stuck)} processes that read it cannot be ended.",
                mend="unplug the camera and plug it in again; if that does not help, restart the machine",
            )
        self._start()
        self._say({"make": self._make, "with": self._arguments})
        self._prepared = True

    def _lives(self) -> bool:
        with self._lock:
            return self._child is not None and not self._interrupted and self._child.poll() is None

    def read(self) -> Frame | None:
        """The next frame. Never None.

        Raises:
            SourceError: the camera is not open, fails, gave nothing for `silence_s`, or the child died.
        """
        patience_s = self._opening_s or self._silence_s
        slot = self._slot
        if slot is None or self._prepared:
            raise SourceError(f"{self.name} is not open.")
        self._say({"want": True})
        message = self._hear(patience_s, f"{self.name} gave no picture for {patience_s:g} s")
        captured_at_s, height_px, width_px = message["picture"]
        self._trouble = message["trouble"]
        frame = Frame(seq=self._seq, captured_at_s=captured_at_s, image=slot.take(height_px, width_px))
        self._seq += 1
        self._opening_s, self._next_open_s = None, self._open_s
        return frame

    def close(self) -> None:
        """Kill the child; the camera's light goes out. A child that no signal ends is left behind after `end_s`."""
        self._end()
        if self._control is not None:
            self._control.close()
        if self._slot is not None:
            self._slot.close()
        self._control = self._slot = None
        self._prepared = False
        self._trouble = ""

    def interrupt(self) -> None:
        """Kill the child at once, also while another thread reads; nothing opens until `allow()`."""
        with self._lock:
            self._interrupted = True
            if self._child is not None:
                self._child.kill()

    def allow(self) -> None:
        """Undo `interrupt()`."""
        with self._lock:
            self._interrupted = False

    def _start(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = new_slot()
        try:
            self._control, self._slot = ours, PictureSlot(memory)
            with self._lock:
                if self._interrupted:
                    raise SourceError(f"{self.name} is closed.")
                self._child = start_child(theirs.fileno(), memory)
        except OSError as cause:
            raise SourceError(
                f"The process that reads {self.name} did not start: {cause.strerror or cause}."
            ) from cause
        finally:
            theirs.close()
            os.close(memory)

    def _say(self, message: Mapping[str, Any]) -> None:
        # when it is dead, _hear tells what it said last, or how it ended
        with suppress(OSError):
            self._connected().send(json.dumps(message).encode())

    def _connected(self) -> socket.socket:
        if self._control is None:
            raise SourceError(f"{self.name} is not open.")
        return self._control

    def _hear(self, patience_s: float, late: str) -> dict[str, Any]:
        """The child's next message.

        Raises:
            SourceError: the child tells an error, died, or said nothing for `patience_s` (told with `late`).
        """
        control = self._connected()
        due_s = time.monotonic() + patience_s
        poll = select.poll()
        poll.register(control, select.POLLIN)
        while not poll.poll(max(due_s - time.monotonic(), 0.0) * 1000.0):
            if time.monotonic() >= due_s:
                self.close()
                raise SourceError(
                    f"{late}: it hangs. The process that read it was ended.",
                    mend="if this comes again, check the cable and the USB power",
                )
        try:
            packet = control.recv(PACKET_BYTES)
        except ConnectionResetError:
            # it died before it read our last message; what it said before that is still to be had
            packet = control.recv(PACKET_BYTES)
        if not packet:
            raise SourceError(self._obituary())
        message: dict[str, Any] = json.loads(packet)
        if "error" in message:
            self.close()
            raise SourceError(message["error"], mend=message["mend"])
        return message

    def _obituary(self) -> str:
        """How the child ended by itself; this side is closed."""
        with self._lock:
            child, interrupted = self._child, self._interrupted
        # its end of the socket is closed a moment before it can be waited for
        code = self._wait(child) if child is not None else None
        self.close()
        if interrupted:
            return f"{self.name} is closed."
        if code == -signal.SIGKILL:
            return (
                f"The process that reads {self.name} was killed: the machine may be short of memory "
                "(`journalctl -k` tells)."
            )
        if code is not None and code < 0:
            return f"The process that reads {self.name} crashed: {signal.strsignal(-code)}."
        return f"The process that reads {self.name} ended with exit code {code}."

    def _end(self) -> None:
        with self._lock:
            self._cpu.end(self._child)
            child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        if self._wait(child) is None:
            _log.warning("process %d hangs in the driver of %s and cannot be ended", child.pid, self.name)
            self._stuck.append(child)

    def _wait(self, child: subprocess.Popen[bytes]) -> int | None:
        try:
            return child.wait(self._end_s)
        except subprocess.TimeoutExpired:
            return None


def usb_camera(device: str, *, width_px: int, height_px: int, frames_per_second: float) -> ChildCamera:
    """A UsbCamera in a process of its own; see there for the arguments."""
    path = device_path(device)
    wishes = {"width_px": width_px, "height_px": height_px, "frames_per_second": frames_per_second}
    return ChildCamera(
        "emomusic_edge.runtime.camera.usb:UsbCamera",
        {"device": str(path), **wishes},
        name=str(path),
        device=path,
    )
