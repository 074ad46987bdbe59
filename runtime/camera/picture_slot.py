"""Memory for one picture that two processes share: nameless, never a file, gone with the last of the two."""

from __future__ import annotations

import fcntl
import mmap
import os

import numpy as np

from emomusic_edge.contracts import Image
from emomusic_edge.errors import SourceError

# A 4K picture in 8-bit colour. Pages that no picture touches take no memory.
MAX_BYTES = 3840 * 2160 * 3


def new_slot() -> int:
    """The descriptor of a fresh slot. Neither side can shrink it under the other, who would die of SIGBUS."""
    descriptor = os.memfd_create("emomusic-picture", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(descriptor, MAX_BYTES)
    fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return descriptor


class PictureSlot:
    """One side's view of the slot. The two take turns by messages; the slot itself guards nothing."""

    def __init__(self, descriptor: int) -> None:
        """Map it; the descriptor may be closed afterwards."""
        self._memory = mmap.mmap(descriptor, MAX_BYTES)
        self._memory.madvise(mmap.MADV_DONTDUMP)
        self._pixels = np.frombuffer(self._memory, np.uint8)

    def put(self, image: Image) -> None:
        """Write a picture, uint8 [H, W, 3].

        Raises:
            SourceError: it is larger than 4K.
        """
        if image.size > MAX_BYTES:
            raise SourceError(
                f"A picture of {image.shape[1]} x {image.shape[0]} pixels came; 3840 x 2160 is the most that is taken.",
                mend="set camera.width_px and camera.height_px to a size that the camera has",
            )
        self._pixels[: image.size].reshape(image.shape)[...] = image

    def take(self, height_px: int, width_px: int) -> Image:
        """A copy of the picture that was put last, uint8 [H, W, 3]."""
        image: Image = self._pixels[: height_px * width_px * 3].reshape(height_px, width_px, 3).copy()
        return image

    def close(self) -> None:
        """Unmap it."""
        # the map cannot be closed while an array looks at it
        del self._pixels
        self._memory.close()
