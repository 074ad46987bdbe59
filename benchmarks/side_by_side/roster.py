"""Who takes part: each worker's environment, the command that makes it, and what its cases are called in the table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Member:
    """One worker.

    Attributes:
        name: for --only, and of its log.
        module: of peers.
        environment: the folder of its Python, in the checkout.
        make: the target that makes it.
    """

    name: str
    module: str
    environment: str
    make: str

    @property
    def python(self) -> Path:
        """Its interpreter, there or not."""
        return REPO / self.environment / "bin" / "python"

    @property
    def missing(self) -> str:
        """Why it cannot take part; empty when it can."""
        return "" if self.python.is_file() else f"{self.environment} is not there: make {self.make}"


MEMBERS = (
    Member("ours", "ours", ".venv", "peer-torch"),
    Member("products", "products", ".venv", "peer-torch"),
    Member("torch", "torch_seed", ".venv", "peer-torch"),
    Member("hsemotion", "hsemotion", ".venv-hsemotion", "peer-hsemotion"),
    Member("fer", "fer_package", ".venv-fer", "peer-fer"),
    Member("mediapipe", "mediapipe_faces", ".venv-mediapipe", "oracle"),
    Member("haar", "haar", ".venv-haar", "peer-haar"),
)


@dataclass(frozen=True)
class Duel:
    """A row of the table of peers: a case of a peer, and ours that does the same work."""

    what: str
    peer: str
    ours: str
    member: str


_PAIR = "scene and face models on one frame, T = 20"
DUELS = (
    Duel(f"{_PAIR}: the source document's loop, PyTorch", "seed_loop", "pair_fp32", "torch"),
    Duel(f"{_PAIR}: the same, against int8", "seed_loop", "pair_int8", "torch"),
    Duel(f"{_PAIR}: PyTorch, trunk once", "torch_trunk_once", "pair_fp32", "torch"),
    Duel(f"{_PAIR}: PyTorch, trunk once, against int8", "torch_trunk_once", "pair_int8", "torch"),
    Duel("face crop: hsemotion-onnx B0, one pass, no uncertainty", "hsemotion", "face_int8_T20", "hsemotion"),
    Duel("face crop: fer's classifier, one pass, no uncertainty", "fer_crop", "face_int8_T20", "fer"),
    Duel("frame: fer with its Haar cascade", "fer_frame", "detect_and_face_int8", "fer"),
    Duel("faces on a frame: MediaPipe short-range", "mediapipe_short", "detector_short", "mediapipe"),
    Duel("faces on a frame: MediaPipe full-range", "mediapipe_full", "detector_full", "mediapipe"),
    Duel("faces on a frame: OpenCV's Haar cascade", "haar", "detector_full", "haar"),
)
_MEMBERS_OF_CASES = {
    **{duel.peer: duel.member for duel in DUELS},
    **dict.fromkeys(("products_ort", "products_numpy", "products_peak"), "products"),
    "products_torch": "torch",
}


def member_of(case: str) -> str:
    """The worker that has a case."""
    return _MEMBERS_OF_CASES.get(case, "ours")
