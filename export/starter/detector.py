"""The face detectors: MediaPipe's BlazeFace, full-range and short-range, as bundles.

The anchors are those of MediaPipe's own graphs (face_detection_full_range and face_detection_short_range: input size,
strides, `interpolated_scale_aspect_ratio`, `score_clipping_thresh`).
"""

from __future__ import annotations

from dataclasses import dataclass

from emomusic_edge.export.bundle import OPSET, WRITTEN_BY
from emomusic_edge.fetch import MEDIAPIPE
from emomusic_edge.manifest import AnchorOptions, ImageInput, Manifest, SourceRecord


@dataclass(frozen=True, slots=True)
class BlazeFaceVariant:
    """One of the two published detectors.

    Attributes:
        name: the bundle's.
        title: what surfaces call it.
        weights_file: in the wheel.
        size_px: height and width of its input.
        anchors: how its boxes are laid out.
    """

    name: str
    title: str
    weights_file: str
    size_px: int
    anchors: AnchorOptions


FULL_RANGE = BlazeFaceVariant(
    name="blazeface-full",
    title="BlazeFace full-range face detector (faces up to about 5 m)",
    weights_file="face_detection_full_range_sparse.tflite",
    size_px=192,
    anchors=AnchorOptions(strides=(4,), interpolated_scale_aspect_ratio=0.0),
)
SHORT_RANGE = BlazeFaceVariant(
    name="blazeface-short",
    title="BlazeFace short-range face detector (faces up to about 2 m)",
    weights_file="face_detection_short_range.tflite",
    size_px=128,
    anchors=AnchorOptions(strides=(8, 16, 16, 16), interpolated_scale_aspect_ratio=1.0),
)
VARIANTS = (FULL_RANGE, SHORT_RANGE)


# One more whenever the conversion writes another graph: bundles that stand from before are then made anew.
_GRAPH = 2


def detector_manifest(variant: BlazeFaceVariant) -> Manifest:
    """The bundle's manifest, but for the hash and the parity that writing fills in."""
    return Manifest(
        name=variant.name,
        title=variant.title,
        note="Finds faces; knows nothing of who they are.",
        kind="detector",
        source=None,
        files={"model.onnx": "0" * 64},
        opset=OPSET,
        image=ImageInput(
            height_px=variant.size_px,
            width_px=variant.size_px,
            colour_order="rgb",
            resize="warp",
            crop="letterbox",
            normalisation="x / 127.5 - 1",
        ),
        output_units=None,
        anchors=variant.anchors,
        weights=SourceRecord(
            name=f"{MEDIAPIPE.label}: {variant.weights_file}",
            sha256=MEDIAPIPE.files[variant.weights_file],
            licence=MEDIAPIPE.licence,
        ),
        written_by=f"{WRITTEN_BY}, detector graph {_GRAPH}",
    )
