"""A file from its end on from its beginning again, for as long as the run lasts."""

from __future__ import annotations

from dataclasses import replace

from emomusic_edge.contracts import Frame, FrameSource
from emomusic_edge.errors import ConfigError


class LoopedSource:
    """Frames of a file over and over; numbers and time go on, as if it were one endless file.

    From the last frame of a pass to the first of the next as much time goes by as between the last two frames.
    """

    live = False

    def __init__(self, source: FrameSource, *, frame_s: float) -> None:
        """Bind a source that ends.

        Args:
            source: not live; it is opened again at each end.
            frame_s: how long a frame lasts until two are known, so that a single picture too takes time.

        Raises:
            ConfigError: the source is a camera.
        """
        if source.live:
            raise ConfigError(
                f"--loop reads a file over and over; {source.name} is a camera and never ends.",
                mend="Leave --loop out, or name a file with --source.",
            )
        self._source = source
        self._frame_s = frame_s
        self._seq = self._frames_in_pass = 0
        self._offset_s = self._last_s = 0.0

    @property
    def name(self) -> str:
        """The file's name."""
        return self._source.name

    def open(self) -> None:
        """Open the file at its beginning; numbers and time begin anew.

        Raises:
            SourceError: see the file's own source.
        """
        self._seq = self._frames_in_pass = 0
        self._offset_s = self._last_s = 0.0
        self._source.open()

    def read(self) -> Frame | None:
        """The next frame; None only where a whole pass gave none.

        Raises:
            SourceError: see the file's own source; also when the file does not open again.
        """
        frame = self._source.read()
        if frame is None and self._frames_in_pass:
            self._source.open()
            self._frames_in_pass = 0
            frame = self._source.read()
            if frame is not None:
                # a file's own time need not begin at 0
                self._offset_s = self._last_s + self._frame_s - frame.captured_at_s
        if frame is None:
            return None
        frame = replace(frame, seq=self._seq, captured_at_s=self._offset_s + frame.captured_at_s)
        if self._seq:
            self._frame_s = frame.captured_at_s - self._last_s
        self._last_s = frame.captured_at_s
        self._seq += 1
        self._frames_in_pass += 1
        return frame

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()
