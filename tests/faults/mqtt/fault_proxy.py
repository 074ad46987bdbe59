"""A TCP line between the device and the broker that can go wrong in every way a network does."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field

_TICK_S = 0.01
_CHUNK_BYTES = 65_536
# Beyond this the proxy reads no more from a side that the other does not empty, as a real line would.
_HELD_BYTES = 262_144


@dataclass
class Pace:
    """How slow a line is.

    Attributes:
        delay_s: how much later each byte comes out.
        bytes_per_s: how many come out; 0 for as many as there are.
    """

    delay_s: float = 0.0
    bytes_per_s: float = 0.0


@dataclass
class _Way:
    """One direction of a line: what came in and when it may go out."""

    source: socket.socket
    sink: socket.socket
    waiting: deque[tuple[float, bytes]] = field(default_factory=deque)
    held: int = 0
    free_at_s: float = 0.0
    ended: bool = False  # the source has closed its side
    cut_after: int | None = None  # bytes that still pass before the line is reset

    def take(self, chunk: bytes, now_s: float, pace: Pace) -> None:
        due_s = max(now_s + pace.delay_s, self.free_at_s)
        if pace.bytes_per_s:
            due_s += len(chunk) / pace.bytes_per_s
            self.free_at_s = due_s
        self.waiting.append((due_s, chunk))
        self.held += len(chunk)


@dataclass
class _Line:
    near: socket.socket
    far: socket.socket
    to_broker: _Way
    to_device: _Way
    silent: bool = False

    @property
    def ways(self) -> tuple[_Way, _Way]:
        return self.to_broker, self.to_device


class FaultProxy:
    """Listens on `port` of 127.0.0.1 and passes on to `to_port`; one thread of its own.

    Attributes:
        accepted: how many lines have been taken in and joined to the broker.
        accepted_at_s: when the newest was, monotonic.
        knocks: how many newcomers came, joined or not.
    """

    def __init__(self, to_port: int) -> None:
        self.accepted = 0
        self.accepted_at_s = 0.0
        self.knocks = 0
        self._to_port = to_port
        self._lock = threading.Lock()
        self._lines: list[_Line] = []
        self._orphans: list[socket.socket] = []
        self._pace = Pace()
        self._stalled = self._newcomers_reset = self._newcomers_silent = False
        self._closing = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.setblocking(False)
        self.port = int(self._server.getsockname()[1])
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)
        self._thread.start()

    # The faults.

    def swallow(self) -> None:
        """The lines there are fall silent for good: what is sent is lost, no side learns that the other closed."""
        with self._lock:
            for line in self._lines:
                line.silent = True

    def newcomers_silent(self, on: bool) -> None:
        """Whether who connects from now on hears nothing, for good."""
        with self._lock:
            self._newcomers_silent = on

    def stall(self, on: bool) -> None:
        """Nothing moves while it is on and nothing is lost, as with a cable that is out for a while."""
        with self._lock:
            self._stalled = on

    def pace(self, pace: Pace) -> None:
        """From now on the lines are that slow."""
        with self._lock:
            self._pace = pace

    def reset(self) -> None:
        """The lines there are end with a TCP reset."""
        with self._lock:
            for line in self._lines:
                self._end(line, reset=True)

    def newcomers_reset(self, on: bool) -> None:
        """Whether who connects from now on is reset at once."""
        with self._lock:
            self._newcomers_reset = on

    def cut_mid_message(self, after_bytes: int) -> None:
        """Each line is reset after so many more bytes towards the device: in the midst of a packet."""
        with self._lock:
            for line in self._lines:
                line.to_device.cut_after = after_bytes

    def inject(self, packet: bytes) -> None:
        """Say something to the device as if the broker had; only of use on a line without TLS, between packets."""
        with self._lock:
            for line in self._lines:
                line.to_device.take(packet, time.monotonic(), Pace())

    def heal(self) -> None:
        """All is well again, for lines that still live and for newcomers."""
        with self._lock:
            self._pace = Pace()
            self._stalled = self._newcomers_reset = self._newcomers_silent = False

    def close(self) -> None:
        self._closing = True
        self._thread.join(5.0)
        with self._lock:
            for line in self._lines:
                self._end(line, reset=True)
            for orphan in self._orphans:
                orphan.close()
        self._server.close()

    # From here on, the proxy's thread.

    def _run(self) -> None:
        while not self._closing:
            with self._lock:
                moved = False if self._stalled else self._turn()
            if not moved:
                time.sleep(_TICK_S / 10 if self._lines and not self._stalled else _TICK_S)

    def _turn(self) -> bool:
        """Accept, read and write what can be done now; whether anything was."""
        moved = self._accept()
        now_s = time.monotonic()
        for line in self._lines:
            for way in line.ways:
                moved = self._read(line, way, now_s) or moved
                moved = self._write(line, way, now_s) or moved
            if all(way.ended and not way.waiting for way in line.ways):
                self._end(line, reset=False)
        self._lines = [line for line in self._lines if line.near.fileno() >= 0]
        return moved

    def _accept(self) -> bool:
        try:
            near, _ = self._server.accept()
        except BlockingIOError:
            return False
        self.knocks += 1
        if self._newcomers_reset:
            _reset(near)
            return True
        if self._newcomers_silent:
            self._orphans.append(near)
            return True
        try:
            far = socket.create_connection(("127.0.0.1", self._to_port), 5.0)
        except OSError:
            _reset(near)
            return True
        for end in (near, far):
            end.setblocking(False)
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines.append(_Line(near, far, _Way(near, far), _Way(far, near)))
        self.accepted += 1
        self.accepted_at_s = time.monotonic()
        return True

    def _read(self, line: _Line, way: _Way, now_s: float) -> bool:
        if way.ended or way.held > _HELD_BYTES:
            return False
        try:
            chunk = way.source.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return False
        except OSError:
            chunk = b""
        if line.silent:
            way.ended = not chunk
            way.waiting.clear()
        elif chunk:
            way.take(chunk, now_s, self._pace)
        else:
            way.ended = True
        return True

    def _write(self, line: _Line, way: _Way, now_s: float) -> bool:
        if line.silent:
            return False
        moved = False
        while way.waiting and way.waiting[0][0] <= now_s:
            due_s, chunk = way.waiting.popleft()
            allowed = chunk if way.cut_after is None else chunk[: way.cut_after]
            try:
                sent = way.sink.send(allowed) if allowed else 0
            except BlockingIOError:
                way.waiting.appendleft((due_s, chunk))
                return moved
            except OSError:
                self._end(line, reset=True)
                return True
            moved = True
            way.held -= sent
            if way.cut_after is not None:
                way.cut_after -= sent
                if way.cut_after <= 0:
                    self._end(line, reset=True)
                    return True
            if sent < len(chunk):
                way.waiting.appendleft((due_s, chunk[sent:]))
                return moved
        if way.ended and not way.waiting:
            with suppress(OSError):
                way.sink.shutdown(socket.SHUT_WR)
        return moved

    @staticmethod
    def _end(line: _Line, *, reset: bool) -> None:
        for end in (line.near, line.far):
            if reset:
                _reset(end)
            else:
                end.close()


def _reset(end: socket.socket) -> None:
    """Close with RST instead of FIN."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
