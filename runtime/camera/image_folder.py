"""A folder of pictures (or a single one) as a frame source, a fixed time each."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import cv2
import numpy as np

from emomusic_edge.contracts import Frame, Image
from emomusic_edge.errors import SourceError

PICTURE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})

_log = logging.getLogger(__name__)


class ImageFolder:
    """The pictures of a folder in the order of their names, `img2` before `img10`; sub-folders are not entered.

    A picture that does not decode is passed over with a warning and takes no time.
    """

    live = False

    def __init__(self, path: Path, *, seconds_per_picture: float = 0.1) -> None:
        if not seconds_per_picture > 0:
            raise ValueError(f"seconds_per_picture is {seconds_per_picture}, expected > 0")
        self._path = path
        self._seconds_per_picture = seconds_per_picture
        self._waiting: list[Path] | None = None
        self._seq = 0

    @property
    def name(self) -> str:
        """The folder's (or picture's) name."""
        return self._path.name or str(self._path)

    def open(self) -> None:
        """List the pictures.

        Raises:
            SourceError: the folder is missing or unreadable, or no file in it has a picture's suffix.
        """
        self.close()
        try:
            files = list(self._path.iterdir()) if self._path.is_dir() else [self._path.resolve(strict=True)]
        except OSError as cause:
            raise SourceError(f"{self._path} cannot be read: {cause.strerror or cause}.") from cause
        pictures = [file for file in files if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file()]
        if not pictures:
            raise SourceError(
                f"{self._path} holds no pictures: none of its {len(files)} entries ends in "
                f"{', '.join(sorted(PICTURE_SUFFIXES))}.",
                mend="name a folder of pictures, or a video file",
            )
        self._waiting = sorted(pictures, key=_natural, reverse=True)
        self._seq = 0

    def read(self) -> Frame | None:
        """The next picture that decodes, or None after the last.

        Raises:
            SourceError: the folder is not open, or not one of its pictures decodes.
        """
        if self._waiting is None:
            raise SourceError(f"{self.name} is not open.")
        while self._waiting:
            file = self._waiting.pop()
            image = _decode(file)
            if image is None:
                _log.warning("%s does not decode and is passed over", file)
                continue
            frame = Frame(seq=self._seq, captured_at_s=self._seq * self._seconds_per_picture, image=image)
            self._seq += 1
            return frame
        if self._seq == 0:
            raise SourceError(f"not one picture in {self._path} decodes.", mend="copy the pictures again")
        return None

    def close(self) -> None:
        """Forget the list."""
        self._waiting = None


def _natural(file: Path) -> list[tuple[str, int]]:
    parts = re.findall(r"(\D*)(\d*)", file.name.lower())
    return [(text, int(number or 0)) for text, number in parts]


def _decode(file: Path) -> Image | None:
    try:
        picture = cv2.imdecode(np.fromfile(file, np.uint8), cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    return None if picture is None else np.ascontiguousarray(picture, np.uint8)
