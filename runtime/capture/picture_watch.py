"""Whether a camera's picture may be believed: not when it is black, nor when it no longer changes at all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from emomusic_edge.contracts import Image

# The picture is shrunk to so many areas, each the mean of its pixels: a sensor's noise goes, what it shows stays.
_AREAS = (32, 24)

# Every so many pixels in both directions tell the mean well enough.
_STEP = 16

# A changed picture differs in some of these rows, as a rule; only when none does are all of them compared.
_ROW_STEP = 16

_REOPEN_MOST_S = 600.0

# While a camera gave nothing it was not seen to be still: of a longer gap between two pictures no more counts.
_GAP_MOST_S = 1.0


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to do with a picture.

    Attributes:
        believed: whether feelings may be estimated from it.
        reason: why not; empty as long as it is not worth telling.
        reopen: whether the camera should be opened anew.
    """

    believed: bool = True
    reason: str = ""
    reopen: bool = False


_GOOD = Judgement()


class PictureWatch:
    """Looks at every picture of a camera, one after the other.

    *Black*: of 255 grey levels, the mean is below `black_mean` and the standard deviation over 32 x 24 areas of the
    picture below `black_spread`. A covered lens or a room without light. Of 1,288 darkened pictures of faces below this
    spread the starter detector found the face in none, of 239 above it and below 1.5 in 13; without any light and with
    a read noise of up to 20 electrons the spread was at most 0.71 and the mean 9.9 (benchmarks/dark_pictures.py).

    *Frozen*: not one byte differs for `frozen_s`, though the picture is not black. The noise of a sensor changes bytes
    in every picture: also in a ten-thousandth of full light and at JPEG quality 50 no two of 21 pictures of a still
    scene came out the same (the same script). A source without noise, as an HDMI grabber, may be called frozen while
    nothing moves: then nothing is lost but an estimate of a still picture, the first changed byte is believed at once,
    and the camera is opened anew ever more rarely: after `frozen_s`, then twice that, at most every ten minutes.

    Args:
        black_mean: in grey levels of 255.
        black_spread: likewise.
        black_told_s: cameras begin with dark pictures until their exposure is set; black is told after so long.
        frozen_s: how long a picture may stay the same.
    """

    def __init__(
        self,
        *,
        black_mean: float = 24.0,
        black_spread: float = 1.0,
        black_told_s: float = 1.0,
        frozen_s: float = 3.0,
    ) -> None:
        self._black_mean = black_mean
        self._black_spread = black_spread
        self._black_told_s = black_told_s
        self._frozen_s = frozen_s
        self.forget()

    def forget(self) -> None:
        """The camera was closed on purpose: nothing is known of the picture."""
        self._last: Image | None = None
        self._looked_at_s = 0.0
        self._still_s = 0.0
        self._reopen_after_s = self._frozen_s
        self._black_since_s: float | None = None

    def look(self, image: Image, now_s: float) -> Judgement:
        """Judge the next picture.

        Args:
            image: uint8 [H, W, 3]; must not be changed afterwards.
            now_s: monotonic seconds.
        """
        same, self._last = self._last is not None and _equal(image, self._last), image
        gap_s, self._looked_at_s = now_s - self._looked_at_s, now_s
        if self._is_black(image):
            self._still_s = 0.0
            return self._black(now_s)
        self._black_since_s = None
        if not same:
            self._still_s = 0.0
            self._reopen_after_s = self._frozen_s
            return _GOOD
        self._still_s += min(gap_s, _GAP_MOST_S)
        if self._still_s < self._frozen_s:
            return _GOOD
        reopen = self._still_s >= self._reopen_after_s
        if reopen:
            self._reopen_after_s = min(2.0 * self._reopen_after_s, self._reopen_after_s + _REOPEN_MOST_S)
        reason = f"the picture is frozen: not one byte of it has changed for {self._frozen_s:g} s"
        return Judgement(believed=False, reason=reason, reopen=reopen)

    def _is_black(self, image: Image) -> bool:
        if image[::_STEP, ::_STEP].mean() >= self._black_mean:
            return False
        areas = cv2.resize(image, _AREAS, interpolation=cv2.INTER_AREA)
        return bool(areas.std() < self._black_spread)

    def _black(self, now_s: float) -> Judgement:
        if self._black_since_s is None:
            self._black_since_s = now_s
        told = now_s - self._black_since_s >= self._black_told_s
        reason = "the picture is black: the lens is covered, or there is no light" if told else ""
        return Judgement(believed=False, reason=reason)


def _equal(one: Image, other: Image) -> bool:
    if one.shape != other.shape or not np.array_equal(one[::_ROW_STEP], other[::_ROW_STEP]):
        return False
    return np.array_equal(one, other)
