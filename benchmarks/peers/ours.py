"""This project's own models and detectors, built from the parts that the service runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

import emomusic_edge
from emomusic_edge.contracts import FaceBox, InferenceEngine
from emomusic_edge.engine_store import EngineStore
from emomusic_edge.graph_store import GraphStore
from emomusic_edge.manifest import Manifest, read_manifest
from emomusic_edge.model_file import open_bundle
from emomusic_edge.paths import CacheLayout, DataLayout, default_cache_dir, default_data_dir
from emomusic_edge.preprocess import crop_face, prepare
from emomusic_edge.runtime.app import engine_makers
from emomusic_edge.runtime.engines.choose import choose_engine
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.faces.blazeface import BlazeFace
from emomusic_edge.runtime.predictors import AffectPredictor, MaskBank
from peers.inputs import FACE_MARGIN, HEADS_GRAPH, SAMPLES, Inputs, read_inputs
from peers.worker import Peer, native_threads, serve

Run = Callable[[], object]


def load(folder: Path) -> Peer:
    """Each bundle once, however many cases it has."""
    # As the service does.
    cv2.setNumThreads(1)
    inputs = read_inputs(folder)
    threads = {"ONNX Runtime": _session_threads(inputs), "OpenCV": cv2.getNumThreads()}
    runs: dict[str, Run] = {}
    for precision in ("fp32", "int8"):
        runs |= _affect(inputs, precision)
    runs |= _heads(inputs)
    detectors = {name: _detector(inputs, name) for name in ("short", "full")}
    runs |= {
        f"detector_{name}": lambda detector=detector: detector.detect(inputs.frame)
        for name, detector in detectors.items()
    }
    runs["detect_and_face_int8"] = _detect_and_face(inputs, detectors["full"])
    about = f"emomusic-edge {emomusic_edge.__version__}, onnxruntime {onnxruntime.__version__}, random weights"
    return Peer(about, runs, {"threads": threads})


def _session_threads(inputs: Inputs) -> int:
    """Of one inference, counted: a session's pool, and the caller."""
    before = native_threads()
    kept = _bundle(inputs.bundles["blazeface-short"])
    threads = native_threads() - before + 1
    del kept
    return threads


def _affect(inputs: Inputs, precision: str) -> dict[str, Run]:
    """Scene and face of one precision: whole models at several T, and both on one frame."""
    frame, crop, box = inputs.frame, inputs.crop, FaceBox(*inputs.face_px, score=1.0)
    scene, face = (_bundle(inputs.bundles[f"{source}-{precision}"]) for source in ("scene", "face"))

    def at(loaded: tuple[InferenceEngine, Manifest], samples: int) -> AffectPredictor:
        return AffectPredictor(*loaded, samples=samples)

    runs: dict[str, Run] = {}
    for name, loaded, picture in (("scene", scene, frame), ("face", face, crop)):
        for samples in (5, SAMPLES, 64):
            predictor = at(loaded, samples)
            runs[f"{name}_{precision}_T{samples}"] = lambda predictor=predictor, picture=picture: predictor.predict(
                picture
            )
    both = at(scene, SAMPLES), at(face, SAMPLES)

    def pair() -> None:
        both[0].predict(frame)
        cut = crop_face(frame, box, FACE_MARGIN)
        assert cut is not None
        both[1].predict(cut)

    engine, manifest = scene
    assert manifest.mc_dropout is not None
    ready = {
        "image": prepare(frame, manifest.image),
        "masks": MaskBank(manifest.mc_dropout, samples=SAMPLES, kind="frozen", seed=0).rows(),
    }
    return {**runs, f"pair_{precision}": pair, f"scene_{precision}_graph": lambda: engine.run(ready)}


def _heads(inputs: Inputs) -> dict[str, Run]:
    """The part of each fp32 graph behind the trunk, at fixed masks."""
    runs: dict[str, Run] = {}
    for source in ("scene", "face"):
        manifest = read_manifest(inputs.bundles[f"{source}-fp32"])
        engine = OrtEngine(
            (inputs.folder / HEADS_GRAPH.format(source=source)).read_bytes(),
            name=f"{source} heads",
            threads=0,
            providers=("CPUExecutionProvider",),
        )
        features = next(name for name in engine.input_names if name != "masks")
        assert manifest.mc_dropout is not None
        given = {
            features: np.random.default_rng(0).normal(size=(1, 512)).astype(np.float32),
            "masks": MaskBank(manifest.mc_dropout, samples=SAMPLES, kind="frozen", seed=0).rows(),
        }
        runs[f"{source}_heads"] = lambda engine=engine, given=given: engine.run(given)
    return runs


def _detector(inputs: Inputs, name: str) -> BlazeFace:
    return BlazeFace(*_bundle(inputs.bundles[f"blazeface-{name}"]))


def _detect_and_face(inputs: Inputs, detector: BlazeFace) -> Run:
    """A frame in, what its face says out."""
    face = AffectPredictor(*_bundle(inputs.bundles["face-int8"]), samples=SAMPLES)

    def run() -> None:
        cut = crop_face(inputs.frame, detector.detect(inputs.frame)[0], FACE_MARGIN)
        assert cut is not None
        face.predict(cut)

    return run


def _bundle(folder: Path) -> tuple[InferenceEngine, Manifest]:
    manifest, model = open_bundle(folder)
    makers = engine_makers(0, GraphStore(CacheLayout(default_cache_dir()).graphs))
    store = EngineStore(DataLayout(default_data_dir()).engines)
    return choose_engine(model, manifest, makers, wanted="cpu", samples=None, store=store).engine, manifest


if __name__ == "__main__":
    serve(load)
