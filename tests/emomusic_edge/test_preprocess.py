from __future__ import annotations

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from emomusic_edge.contracts import FaceBox
from emomusic_edge.manifest import ImageInput
from emomusic_edge.preprocess import crop_face, placement, prepare
from emomusic_edge.resample import Crop, Filter, resize_antialiased

RESIZES = ("area", "bilinear", "bicubic_antialias", "bilinear_antialias", "warp")
CROPS = ("none", "centre", "centre_round", "letterbox")
PHOTO = cv2.cvtColor(skimage.data.astronaut(), cv2.COLOR_RGB2BGR)


def spec(
    width_px: int = 64, height_px: int = 48, *, resize: str = "area", crop: str = "none", order: str = "bgr"
) -> ImageInput:
    return ImageInput.model_validate(
        {
            "width_px": width_px,
            "height_px": height_px,
            "resize": resize,
            "crop": crop,
            "colour_order": order,
            "normalisation": "none",
        }
    )


sizes = st.tuples(st.integers(8, 200), st.integers(8, 200))


@given(sizes, sizes, st.sampled_from(RESIZES), st.sampled_from(CROPS), st.sampled_from(["rgb", "bgr"]))
@settings(deadline=None)
def test_the_result_is_what_an_engine_takes(
    picture: tuple[int, int], target: tuple[int, int], resize: str, crop: str, order: str
) -> None:
    image = np.full((*picture, 3), (10, 20, 30), np.uint8)
    result = prepare(image, spec(*target, resize=resize, crop=crop, order=order))
    assert result.shape == (1, target[1], target[0], 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    where = placement(picture[1], picture[0], spec(*target, resize=resize, crop=crop))
    # Of a picture that a letterbox does not shrink to a line, the middle keeps its colour, in the order asked for.
    if min(picture[0] * where.scale_y, picture[1] * where.scale_x) >= 4:
        middle = result[0, target[1] // 2, target[0] // 2].tolist()
        assert middle == ([30, 20, 10] if order == "rgb" else [10, 20, 30])


@given(sizes, sizes, st.sampled_from(RESIZES))
@settings(deadline=None)
def test_a_letterbox_is_black_around_the_picture_and_nowhere_else(
    picture: tuple[int, int], target: tuple[int, int], resize: str
) -> None:
    image = np.full((*picture, 3), 200, np.uint8)
    rule = spec(*target, resize=resize, crop="letterbox")
    result = prepare(image, rule)[0, :, :, 0]
    where = placement(picture[1], picture[0], rule)
    left, right = where.offset_x_px, where.offset_x_px + picture[1] * where.scale_x
    top, bottom = where.offset_y_px, where.offset_y_px + picture[0] * where.scale_y
    # `warp` takes pixel corners for centres, which moves what it draws by up to half a picture's pixel, and it blends
    # the picture's edge into the black.
    slack = 1 + max(where.scale_x, where.scale_y) if resize == "warp" else 0
    x, y = np.arange(target[0]), np.arange(target[1])
    inside = np.ix_((y >= top + slack) & (y + 1 <= bottom - slack), (x >= left + slack) & (x + 1 <= right - slack))
    assert (result[inside] >= 199).all()
    outside = (
        (y < top - 1 - slack)[:, None] | (y > bottom + slack)[:, None] | (x < left - 1 - slack) | (x > right + slack)
    )
    assert not result[outside].any()


@given(
    st.tuples(st.integers(60, 300), st.integers(60, 300)),
    st.tuples(st.integers(60, 200), st.integers(60, 200)),
    st.sampled_from(RESIZES),
    st.sampled_from(CROPS),
    st.tuples(st.floats(0.2, 0.7), st.floats(0.2, 0.7)),
)
@settings(deadline=None)
def test_what_lies_in_the_input_maps_back_to_where_it_was(
    picture: tuple[int, int],
    target: tuple[int, int],
    resize: str,
    crop: str,
    corner: tuple[float, float],
) -> None:
    """A bright block in the picture is found in the prepared input; its box maps back onto the block."""
    height, width = picture
    left, top = int(corner[0] * width), int(corner[1] * height)
    across, down = width // 5, height // 5
    image = np.zeros((height, width, 3), np.uint8)
    image[top : top + down, left : left + across] = 255
    rule = spec(*target, resize=resize, crop=crop)
    rows, columns = (np.flatnonzero(prepare(image, rule)[0, :, :, 0].max(axis=axis) > 127) for axis in (1, 0))
    # A block that the crop cuts has other edges than its own.
    assume(rows.size > 0 and columns.size > 0)
    assume(rows[0] > 0 and columns[0] > 0 and rows[-1] < target[1] - 1 and columns[-1] < target[0] - 1)
    where = placement(width, height, rule)
    box = where.box_in_picture(columns[0], rows[0], columns[-1] + 1, rows[-1] + 1, 0.5)
    slack_x, slack_y = 1.1 + 1.1 / where.scale_x, 1.1 + 1.1 / where.scale_y
    assert abs(box.x_px - left) <= slack_x
    assert abs(box.y_px - top) <= slack_y
    assert abs(box.x_px + box.width_px - left - across) <= slack_x
    assert abs(box.y_px + box.height_px - top - down) <= slack_y
    assert box.score == 0.5


@pytest.mark.parametrize("kind", ["bicubic", "bilinear"])
@pytest.mark.parametrize("target", [(224, 224), (64, 48), (100, 512), (512, 300), (700, 900), (8, 9)])
def test_antialiased_resizing_is_pillows(kind: str, target: tuple[int, int]) -> None:
    filters = {"bicubic": Pillow.Resampling.BICUBIC, "bilinear": Pillow.Resampling.BILINEAR}
    picture = PHOTO[:431]
    expected = np.asarray(Pillow.fromarray(picture).resize(target, filters[kind]))
    found = prepare(picture, spec(*target, resize=f"{kind}_antialias"))[0]
    difference = np.abs(found.astype(int) - expected)
    # Pillow rounds its weights to fixed point.
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01


@given(
    size=st.tuples(st.integers(8, 90), st.integers(8, 90)),
    to=st.tuples(st.integers(8, 90), st.integers(8, 90)),
    part=st.tuples(*[st.floats(0, 1)] * 4),
    kind=st.sampled_from(["bicubic", "bilinear"]),
)
def test_a_part_of_a_resized_picture_is_that_part_of_the_whole(
    size: tuple[int, int], to: tuple[int, int], part: tuple[float, float, float, float], kind: Filter
) -> None:
    picture = np.ascontiguousarray(PHOTO[: size[1], : size[0]])
    whole = resize_antialiased(picture, *to, kind)
    assert whole.shape == (to[1], to[0], 3)
    left, top = (int(share * (side - 1)) for share, side in zip(part[:2], to, strict=True))
    wide, high = (1 + int(share * (side - 1 - at)) for share, side, at in zip(part[2:], to, (left, top), strict=True))
    found = resize_antialiased(picture, *to, kind, Crop(left, top, wide, high))
    # Blocks that begin elsewhere add in another order.
    difference = np.abs(found.astype(int) - whole[top : top + high, left : left + wide])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.01 or difference.sum() <= 3


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (333, 777)])
def test_centre_crop_is_resize_and_crop_of_the_reference_pipeline(size: tuple[int, int]) -> None:
    """CLIP's: the short side to 224 (the long one rounded down), then the middle."""
    picture = cv2.resize(PHOTO, size[::-1])
    width, height = (int(224 * side / min(size)) for side in size[::-1])
    resized = np.asarray(Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BICUBIC))
    top, left = (height - 224) // 2, (width - 224) // 2
    expected = resized[top : top + 224, left : left + 224]
    found = prepare(picture, spec(224, 224, resize="bicubic_antialias", crop="centre"))[0]
    assert np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("size", [(360, 640), (512, 512), (700, 400)])
def test_warp_samples_without_the_half_pixel_shift(size: tuple[int, int]) -> None:
    """Input pixel (u, v) is the picture at ((u - offset) / scale), read bilinearly; black outside."""
    picture = cv2.GaussianBlur(cv2.resize(PHOTO, size[::-1]), (9, 9), 3)
    scale = 192 / max(size)
    offset_x, offset_y = (192 - size[1] * scale) / 2, (192 - size[0] * scale) / 2
    found = prepare(picture, spec(192, 192, resize="warp", crop="letterbox"))[0].astype(float)
    for v in range(0, 192, 7):
        for u in range(0, 192, 7):
            x, y = (u - offset_x) / scale, (v - offset_y) / scale
            if not (1 <= x < size[1] - 2 and 1 <= y < size[0] - 2):
                continue
            i, j, a, b = int(y), int(x), x - int(x), y - int(y)
            block = picture[i : i + 2, j : j + 2].astype(float)
            rows = block[:, 0] * (1 - a) + block[:, 1] * a
            # OpenCV places samples on a grid of 1/32 pixel.
            assert np.abs(found[v, u] - (rows[0] * (1 - b) + rows[1] * b)).max() <= 2


boxes = st.builds(
    FaceBox,
    x_px=st.floats(-200, 300),
    y_px=st.floats(-200, 300),
    width_px=st.floats(0.1, 300),
    height_px=st.floats(0.1, 300),
    score=st.just(0.9),
)


@given(boxes, st.floats(0, 1), sizes)
def test_crops_follow_the_architecture_documents_rule(box: FaceBox, margin: float, size: tuple[int, int]) -> None:
    height, width = size
    image = np.arange(height * width * 3, dtype=np.uint32).astype(np.uint8).reshape(height, width, 3)
    # As in the document's `_extract_face_crop`, which counts in shares of the picture.
    x, y, w, h = box.x_px / width, box.y_px / height, box.width_px / width, box.height_px / height
    left, top = int(max(0, (x - margin * w) * width) + 1e-7), int(max(0, (y - margin * h) * height) + 1e-7)
    right = int(min(width, (x + w * (1 + margin)) * width) + 1e-7)
    bottom = int(min(height, (y + h * (1 + margin)) * height) + 1e-7)
    found = crop_face(image, box, margin)
    if right <= left or bottom <= top:
        assert found is None or min(found.shape[:2]) == 1
    elif found is not None:
        assert abs(found.shape[0] - (bottom - top)) <= 1
        assert abs(found.shape[1] - (right - left)) <= 1
    else:
        assert min(right - left, bottom - top) == 1


@given(boxes, st.floats(0, 1), sizes)
def test_a_crop_is_never_empty(box: FaceBox, margin: float, size: tuple[int, int]) -> None:
    found = crop_face(np.zeros((*size, 3), np.uint8), box, margin)
    assert found is None or found.size > 0


def test_a_box_beside_the_picture_gives_no_crop() -> None:
    assert crop_face(PHOTO, FaceBox(600, 100, 50, 50, 0.9), 0.2) is None
    assert crop_face(PHOTO, FaceBox(-80, 100, 50, 50, 0.9), 0.2) is None


def test_a_margin_widens_a_crop_by_box_sizes() -> None:
    found = crop_face(PHOTO, FaceBox(100, 200, 50, 40, 0.9), 0.2)
    assert found is not None
    assert found.shape == (56, 70, 3)
    np.testing.assert_array_equal(found, PHOTO[192:248, 90:160])
