"""A camera that is found again: after it was pulled out it may come back under another number."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from emomusic_edge.contracts import Frame
from emomusic_edge.errors import SourceError

from .child_camera import ChildCamera
from .discover import CameraNode, cameras

_log = logging.getLogger(__name__)


class FollowedCamera:
    """The camera under a number, or the first that gives a picture; from then on that very camera.

    What gave pictures once is known by its link in /dev/v4l/by-id, or where it has none by its name, and is tried
    first. Frame numbers go on over a change. `interrupt` and `allow` may be called from any thread.

    Args:
        wanted: /dev/videoN, taken as long as no camera is known; None for the first camera that gives a picture.
        make: builds the source of a device.
        nodes: tells which cameras there are.
    """

    live = True

    def __init__(
        self,
        wanted: Path | None,
        make: Callable[[str], ChildCamera],
        nodes: Callable[[], Sequence[CameraNode]] = cameras,
    ) -> None:
        self._wanted = wanted
        self._make = make
        self._nodes = nodes
        self._known: CameraNode | None = None
        # One a device for good: it remembers how slowly its device opens, and which processes hang in its driver.
        self._sources: dict[str, ChildCamera] = {}
        self._waiting: Frame | None = None
        self._seq = 0
        # guards the two below
        self._lock = threading.Lock()
        self._source: ChildCamera | None = None
        self._interrupted = False

    @property
    def name(self) -> str:
        """The device's path; before one is known the wish."""
        with self._lock:
            source = self._source
        if source is not None:
            return source.name
        known = self._known.device if self._known else self._wanted
        return str(known) if known else "the camera"

    @property
    def trouble(self) -> str:
        """What is wrong though pictures come; empty when nothing is."""
        with self._lock:
            return self._source.trouble if self._source is not None else ""

    def cpu_s(self) -> float:
        """CPU seconds of the processes that read cameras so far; from any thread."""
        return sum(source.cpu_s() for source in tuple(self._sources.values()))

    def prepare(self) -> None:
        """Have the likeliest camera prepared, see ChildCamera."""
        device = next(self._in_question(self._nodes()), None)
        if device is not None:
            self._source_of(device).prepare()

    def open(self) -> None:
        """Open the first of the cameras in question that gives a picture.

        Raises:
            SourceError: none does; the error is that of the likeliest.
        """
        with self._lock:
            is_open = self._source is not None
        if is_open:
            self.close()
        nodes = self._nodes()
        refusals: list[SourceError] = []
        for device in self._in_question(nodes):
            try:
                self._waiting = self._take(device)
            except SourceError as refusal:
                refusals.append(refusal)
                continue
            self._remember(Path(device), nodes)
            return
        if refusals:
            raise refusals[0]
        raise SourceError(
            "No camera is here that this user may open.",
            mend="check the cable; `ls -l /dev/video*` lists the cameras, their group (video) is the one to be in",
        )

    def read(self) -> Frame | None:
        """The next frame. Never None.

        Raises:
            SourceError: see ChildCamera.
        """
        frame, self._waiting = self._waiting, None
        if frame is None:
            with self._lock:
                source = self._source
            frame = source.read() if source is not None else None
        if frame is None:
            raise SourceError(f"{self.name} is not open.")
        self._seq += 1
        return replace(frame, seq=self._seq - 1)

    def close(self) -> None:
        """Let go of the camera."""
        self._waiting = None
        with self._lock:
            self._source = None
        # that which was open, and one that was prepared for nothing
        for source in self._sources.values():
            source.close()

    def interrupt(self) -> None:
        """Let go of the camera at once, also while another thread reads; nothing opens until `allow()`."""
        with self._lock:
            self._interrupted = True
            if self._source is not None:
                self._source.interrupt()

    def allow(self) -> None:
        """Undo `interrupt()`."""
        with self._lock:
            self._interrupted = False
            if self._source is not None:
                self._source.allow()

    def _take(self, device: str) -> Frame | None:
        source = self._source_of(device)
        for other in self._sources.values():
            if other is not source:
                other.close()
        with self._lock:
            if self._interrupted:
                raise SourceError(f"{device} is closed.")
            source.allow()
            self._source = source
        try:
            source.open()
            return source.read()
        except SourceError:
            self.close()
            raise

    def _source_of(self, device: str) -> ChildCamera:
        if device not in self._sources:
            self._sources[device] = self._make(device)
        return self._sources[device]

    def _in_question(self, nodes: Sequence[CameraNode]) -> Iterator[str]:
        """The devices to try, the likeliest first, none twice."""
        known = self._known
        likely = [node for node in nodes if known is not None and _same(node, known)]
        if self._wanted is None:
            yield from dict.fromkeys(str(node.device) for node in [*likely, *nodes])
        elif likely:
            yield str(likely[0].device)
        else:
            # also when it is not there: its error says so
            yield str(self._wanted)

    def _remember(self, device: Path, nodes: Sequence[CameraNode]) -> None:
        found = next((node for node in nodes if device in (node.device, node.path)), None)
        if found is not None and found != self._known:
            _log.info("the camera is %s (%s)", found.device, found.card)
        self._known = found or self._known


def _same(node: CameraNode, known: CameraNode) -> bool:
    if known.by_id is not None:
        return node.by_id == known.by_id
    return node.by_id is None and node.card == known.card
