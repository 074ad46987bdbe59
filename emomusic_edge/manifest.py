"""The sidecar of a model bundle: everything a loader must know about `model.onnx`, checked before any parser sees it.

A bundle is a folder with `manifest.json` and `model.onnx`; beside them may lie `model.cpu.onnx`, the same model written
for processors, which runs where there is no GPU. Three kinds:

- `mc_dropout` (affect): inputs `image` uint8 [1, H, W, 3] and `masks` float32 [T, K]; outputs `mean` [2],
  `variance` [2] (unbiased over T), `samples` [T, 2]. Masks of ones give the deterministic pass.
- `closed_form` (affect): input `image`; outputs `mean` [2], `variance` [2].
- `detector`: input `image`; outputs `boxes` float32 [1, N, 16] and `scores` float32 [1, N, 1] (raw logits), decoded
  as `anchors` says.

`mean` and `variance` are valence, arousal in the units that `output_units` names.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from emomusic_edge.artefacts import read_verified, restore_interrupted
from emomusic_edge.errors import ModelError

MANIFEST_NAME = "manifest.json"
MODEL_NAME = "model.onnx"
CPU_MODEL_NAME = "model.cpu.onnx"
# A manifest is a page of text; anything larger is not one.
_MAX_MANIFEST_BYTES = 1 << 16
_SHOWN_CHARACTERS = 300
# In a model file with weights in another one: TensorProto.external_data (field 13) holds StringStringEntryProto{key:
# "location", …}, whose key is a length-delimited field 1 in the wire format.
EXTERNAL_DATA = bytes([0x0A, len(b"location")]) + b"location"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ImageInput(_Record):
    """How a picture becomes the model's `image` input; everything after the uint8 tensor lives in the graph."""

    height_px: int = Field(ge=8, le=4096, description="H of the input tensor")
    width_px: int = Field(ge=8, le=4096, description="W of the input tensor")
    colour_order: Literal["rgb", "bgr"] = Field(description="order of the last axis")
    resize: Literal["area", "bilinear", "bicubic_antialias", "bilinear_antialias", "warp"] = Field(
        description="interpolation; `warp` is MediaPipe's: an affine warp without the half-pixel shift"
    )
    crop: Literal["none", "centre", "centre_round", "letterbox"] = Field(
        description="`none` stretches, `centre` scales the short side and cuts the middle, `letterbox` scales the long "
        "side and fills with black; where an odd number of pixels goes, `centre` cuts the odd one at the end, as "
        "CLIPProcessor does, `centre_round` rounds the half to even, as torchvision does"
    )
    face_margin: float = Field(
        default=0.0, ge=0, le=2, description="face models: added on each side of the face box, in its own sizes"
    )
    normalisation: str = Field(
        description="what the graph does to the uint8 values, in words, e.g. `(x / 255 - 0.5) * 2`"
    )


class MaskBlock(_Record):
    """A run of mask columns for one dropout layer."""

    name: str
    offset: int = Field(ge=0)
    width: int = Field(ge=1)


class McDropout(_Record):
    """Monte Carlo dropout through explicit mask rows, bernoulli(1 - p) / (1 - p)."""

    p: float = Field(gt=0, lt=1, description="dropout probability")
    mask_width: int = Field(ge=1, le=65536, description="K: all dropout units")
    layout: tuple[MaskBlock, ...] = Field(min_length=1, description="which columns mask which layer")
    default_samples: int = Field(default=64, ge=1, le=128, description="T when the config names none")

    @model_validator(mode="after")
    def _layout_covers_the_width(self) -> McDropout:
        end = 0
        for block in self.layout:
            if block.offset != end:
                raise ValueError(f"mask block {block.name!r} starts at {block.offset}, expected {end}")
            end += block.width
        if end != self.mask_width:
            raise ValueError(f"mask blocks cover {end} columns, mask_width is {self.mask_width}")
        return self


class UncertaintyGate(_Record):
    """The variance (FindingEmo units squared) above which an estimate led by this model is held."""

    valence: float = Field(gt=0)
    arousal: float = Field(gt=0)


class AnchorOptions(_Record):
    """SSD anchors of a BlazeFace model, as in MediaPipe's SsdAnchorsCalculatorOptions (fixed anchor size 1)."""

    strides: tuple[int, ...] = Field(min_length=1)
    interpolated_scale_aspect_ratio: float = Field(ge=0, description="1 adds an anchor a layer, 0 adds none")
    score_clipping: float = Field(default=100.0, gt=0)


class Parity(_Record):
    """How far the bundle's graph is from its source, on the pictures named."""

    reference: str = Field(description="what it was held against, e.g. `LiteRT 2.3.0` or `PyTorch 2.13.0`")
    pictures: int = Field(ge=1)
    max_abs_difference: float = Field(ge=0)
    bound: float = Field(gt=0)
    unit: str


class GateRecord(_Record):
    """What one gate of the export found."""

    name: str = Field(description="e.g. `parity`, `precision`")
    state: Literal["passed", "failed", "not run"]
    told: str = Field(description="one line: what was held to which bound, or why it was not run")
    figures: dict[str, float | None] = Field(
        default_factory=dict, description="measured, units in the names; null where a graph gave no number"
    )


class TrainingRecord(_Record):
    """What the exporter was told, or read off the checkpoint, of how the model was trained."""

    architecture: str = Field(description="e.g. `ViT-B/32`, `ResNet-18`")
    transform: Literal["clip", "torchvision", "torchvision-square", "opencv"] = Field(
        description="how pictures were resized: CLIPProcessor's, torchvision's Resize(s) and CenterCrop(s), its "
        "Resize((s, s)), or a plain cv2.resize((s, s))"
    )
    activation: str = Field(default="", description="of a CLIP tower's MLPs")
    notes: tuple[str, ...] = Field(default=(), description="what was unwrapped or left out of the checkpoint")


class SourceRecord(_Record):
    """Where the weights come from."""

    name: str = Field(description="package and file, or the checkpoint's file name")
    sha256: Sha256 | None = Field(description="of that file; null where the weights come from a formula")
    licence: str
    licence_note: str = ""


class Manifest(_Record):
    """See the module's docstring."""

    schema_version: Literal[1] = 1
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    title: str = Field(description="what surfaces call it, e.g. `starter face model`")
    note: str = Field(default="", description="what it is not")
    kind: Literal["mc_dropout", "closed_form", "detector"]
    source: Literal["scene", "face"] | None = Field(description="what an affect model looks at; null for a detector")
    starter: bool = Field(default=False, description="a starter model: it runs, and says what it is not")
    latency_only: bool = Field(default=False, description="random weights: its answers mean nothing")
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    files: dict[str, Sha256] = Field(description="sha256 of each file beside this one")
    opset: int = Field(ge=11, le=20)
    image: ImageInput
    output_units: Literal["findingemo"] | None = Field(description="null for a detector")
    mc_dropout: McDropout | None = None
    gate: UncertaintyGate | None = None
    anchors: AnchorOptions | None = None
    weights: SourceRecord
    training: TrainingRecord | None = None
    parity: Parity | None = None
    gates: tuple[GateRecord, ...] = Field(default=(), description="what each gate of the export found")
    forced: bool = Field(default=False, description="written although a gate failed, because somebody asked for it")
    created_at: datetime | None = None
    written_by: str = Field(description="this package's name and version")

    @model_validator(mode="after")
    def _kind_has_its_parts(self) -> Manifest:
        if MODEL_NAME not in self.files:
            raise ValueError(f"files names no {MODEL_NAME}")
        if any(Path(name).name != name or name.startswith(".") for name in self.files):
            raise ValueError("files may only name plain files beside the manifest")
        affect = self.kind != "detector"
        if affect != (self.source is not None) or affect != (self.output_units is not None):
            raise ValueError("an affect model names its source and output_units, a detector neither")
        if (self.kind == "mc_dropout") != (self.mc_dropout is not None):
            raise ValueError("mc_dropout is given exactly for kind mc_dropout")
        if (self.kind == "detector") != (self.anchors is not None):
            raise ValueError("anchors are given exactly for kind detector")
        return self

    def model_file(self, *, on_cpu: bool) -> str:
        """The name of the file that runs: on the CPU alone, or where a GPU has its part."""
        return CPU_MODEL_NAME if on_cpu and CPU_MODEL_NAME in self.files else MODEL_NAME

    def to_json(self) -> str:
        """The text of manifest.json: stable order, two spaces, a final newline."""
        return self.model_dump_json(indent=2, exclude_none=False) + "\n"


ManifestCheck = Callable[[Path, bytes], object]


def _unchecked(path: Path, content: bytes) -> None:
    """No signature is asked for."""


def read_manifest(bundle: Path, *, mend: str = "", check: ManifestCheck = _unchecked) -> Manifest:
    """Read and check a bundle's manifest.

    Args:
        bundle: the bundle's folder.
        mend: the command that would make it, for the error.
        check: called with the manifest's file and its bytes before they are parsed; see emomusic_edge.trust.

    Raises:
        ModelError: the folder or the manifest is missing, or not valid; the message names file and field.
    """
    restore_interrupted(bundle)
    path = bundle / MANIFEST_NAME
    try:
        if path.stat().st_size > _MAX_MANIFEST_BYTES:
            raise ModelError(f"{path} is {path.stat().st_size} bytes; a manifest is a page of text.", mend=mend)
        text = path.read_bytes()
    except OSError as cause:
        what = "is missing" if isinstance(cause, FileNotFoundError) else f"cannot be read ({cause.strerror})"
        raise ModelError(f"Model bundle {bundle}: {MANIFEST_NAME} {what}.", mend=mend) from cause
    check(path, text)
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as cause:
        raise ModelError(f"{path} is not a valid manifest: {_first_fault(cause)}.", mend=mend) from cause


def read_bundle(bundle: Path, *, mend: str = "") -> tuple[Manifest, bytes]:
    """A bundle's manifest and the bytes of its model, hashes checked; the one way to a file that a parser will see.

    Raises:
        ModelError: something is missing, not valid, or altered.
    """
    manifest = read_manifest(bundle, mend=mend)
    model = b""
    for name, sha256 in manifest.files.items():
        content = read_verified(bundle / name, sha256, ModelError, mend=mend)
        if name in (MODEL_NAME, CPU_MODEL_NAME) and names_external_data(content):
            raise ModelError(
                f"Model {manifest.name} keeps weights in another file, which a bundle may not do.", mend=mend
            )
        if name == MODEL_NAME:
            model = content
    return manifest, model


def names_external_data(model: bytes) -> bool:
    """Whether a model file points to data outside itself; ONNX Runtime 1.23 follows `../`, absolute paths and links."""
    return EXTERNAL_DATA in model


def _first_fault(error: ValidationError) -> str:
    faults: list[Any] = error.errors(include_url=False, include_context=False, include_input=False)
    where = ".".join(str(part) for part in faults[0]["loc"]) or "the document"
    rest = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    # Both may quote the file, which may hold a name of sixty thousand letters.
    return f"{where[:_SHOWN_CHARACTERS]}: {str(faults[0]['msg'])[:_SHOWN_CHARACTERS]}{rest}"
