"""What every peer looks at: one frame, the face in it, and the crop of that face."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# What the source document puts around a face box, in box sizes (`_extract_face_crop`).
FACE_MARGIN = 0.2
# What else lies in the folder.
HEADS_GRAPH = "{source}_heads.onnx"
EFFICIENTNET_GRAPH = "efficientnet_b0.onnx"
# T of everything that is held against a peer.
SAMPLES = 20


@dataclass(frozen=True)
class Inputs:
    """The folder that all workers of a run are given.

    Attributes:
        folder: also holds the graphs that were made for the run.
        frame: uint8 [480, 640, 3] BGR.
        face_px: left, top, width and height of the face in the frame.
        bundles: folders of the reference bundles and the detectors, by name.
    """

    folder: Path
    frame: NDArray[np.uint8]
    face_px: tuple[float, float, float, float]
    bundles: dict[str, Path]

    @property
    def crop(self) -> NDArray[np.uint8]:
        """The face with the margin around it, clipped to the frame: uint8 [H, W, 3] BGR, contiguous."""
        left, top, width, height = self.face_px
        rows, columns = self.frame.shape[:2]
        x_from, x_to = max(0.0, left - FACE_MARGIN * width), min(columns, left + (1 + FACE_MARGIN) * width)
        y_from, y_to = max(0.0, top - FACE_MARGIN * height), min(rows, top + (1 + FACE_MARGIN) * height)
        return np.ascontiguousarray(self.frame[int(y_from) : int(y_to), int(x_from) : int(x_to)])


def write_inputs(inputs: Inputs) -> None:
    """Put them into their folder."""
    np.save(inputs.folder / "frame.npy", inputs.frame)
    told = {"face_px": inputs.face_px, "bundles": {name: str(path) for name, path in inputs.bundles.items()}}
    (inputs.folder / "inputs.json").write_text(json.dumps(told), encoding="utf-8")


def read_inputs(folder: Path) -> Inputs:
    """Take them out again."""
    told = json.loads((folder / "inputs.json").read_text(encoding="utf-8"))
    left, top, width, height = told["face_px"]
    frame = np.load(folder / "frame.npy", allow_pickle=False)
    bundles = {name: Path(path) for name, path in told["bundles"].items()}
    return Inputs(folder, frame, (left, top, width, height), bundles)
