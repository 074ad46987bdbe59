"""Pictures as a camera compresses them, one JPEG each: decoded here, and the broken ones told from the whole.

OpenCV's own Video4Linux capture answers a broken JPEG with the picture before it and calls that a success (run, 5.0),
so that a camera on a bad cable would look like a very still room. A picture that was cut short decodes in OpenCV 4.10
(run), grey from there on, and does not in 5.0; here it never does.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import cv2
import numpy as np

from emomusic_edge.contracts import Image

_BEGIN = b"\xff\xd8"
_END = b"\xff\xd9"

# Over so many pictures is judged whether most are broken: a second at the usual rate.
_JUDGED = 30


class MjpgDecoder:
    """Decodes picture after picture, passes over the broken ones and counts them.

    A flipped bit within a picture that is whole otherwise is not noticed: it decodes, with a damaged part.
    """

    def __init__(self) -> None:
        self._corrupt = 0
        self._recent: deque[bool] = deque(maxlen=_JUDGED)

    @property
    def corrupt(self) -> int:
        """How many pictures were passed over."""
        return self._corrupt

    @property
    def most_corrupt(self) -> bool:
        """Whether more than half of the last 30 were passed over."""
        return 2 * sum(self._recent) > _JUDGED

    def decode(self, data: Any) -> Image | None:
        """The picture, uint8 [H, W, 3] BGR; None when it does not decode or was cut short.

        Args:
            data: the bytes as OpenCV hands them over undecoded, uint8 [1, N].
        """
        image = self._whole(np.ascontiguousarray(data, np.uint8).reshape(-1))
        self._recent.append(image is None)
        self._corrupt += image is None
        return image

    def _whole(self, data: np.ndarray[Any, np.dtype[np.uint8]]) -> Image | None:
        jpeg = data.tobytes()
        # Some cameras pad behind the end.
        if not jpeg.startswith(_BEGIN) or _END not in jpeg:
            return None
        try:
            picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        except cv2.error:
            return None
        return None if picture is None else np.asarray(picture, np.uint8)
