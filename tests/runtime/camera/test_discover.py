from __future__ import annotations

import logging
import struct
from pathlib import Path

import pytest

from emomusic_edge.runtime.camera.discover import (
    CameraNode,
    Capability,
    cameras,
    parse_capability,
    query_capability,
)

CAPTURE, META, M2M, STREAMING, DEVICE_CAPS = 0x1, 0x00800000, 0x8000, 0x04000000, 0x80000000


def capability(whole: int, node: int, card: bytes = b"HD Pro Webcam C920") -> bytes:
    """A struct v4l2_capability as linux/videodev2.h lays it out."""
    return struct.pack("16s32s32sIII3I", b"uvcvideo", card, b"usb-1", 0x60100, whole, node, 0, 0, 0)


@pytest.mark.parametrize(
    ("whole", "node", "captures"),
    [
        (CAPTURE | META | DEVICE_CAPS, CAPTURE | STREAMING, True),
        # the second node of the same camera: the device captures, this node gives metadata
        (CAPTURE | META | DEVICE_CAPS, META | STREAMING, False),
        # an old driver that tells no capabilities of the node
        (CAPTURE | STREAMING, 0, True),
        (M2M | DEVICE_CAPS, M2M | STREAMING, False),
        (0x1000 | DEVICE_CAPS, 0x1000 | STREAMING, True),
    ],
)
def test_which_nodes_give_pictures(whole: int, node: int, captures: bool) -> None:
    told = parse_capability(capability(whole, node))
    assert told == Capability(card="HD Pro Webcam C920", captures=captures)


def test_a_device_that_is_no_video_node_answers_nothing() -> None:
    assert query_capability(Path("/dev/null")) is None


def test_the_nodes_come_in_order_with_the_name_that_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in (10, 2, 3, 4):
        (tmp_path / f"video{number}").touch()
    by_id = tmp_path / "v4l" / "by-id"
    by_id.mkdir(parents=True)
    (by_id / "usb-C920-video-index0").symlink_to("../../video2")
    (by_id / "usb-C920-video-index1").symlink_to("../../video3")

    def query(path: Path) -> Capability:
        if path.name == "video4":
            raise PermissionError(13, "Permission denied")
        return Capability(card=path.name, captures=path.name != "video3")

    with caplog.at_level(logging.INFO):
        found = cameras(tmp_path, query)
    assert found == (
        CameraNode(tmp_path / "video2", by_id / "usb-C920-video-index0", "video2"),
        CameraNode(tmp_path / "video10", None, "video10"),
    )
    assert [node.device for node in found] == [by_id / "usb-C920-video-index0", tmp_path / "video10"]
    assert "video4" in caplog.text


def test_no_camera_at_all(tmp_path: Path) -> None:
    assert cameras(tmp_path) == ()
