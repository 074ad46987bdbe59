"""Builds the models: which engine runs each bundle, and what is made of it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping

from emomusic_edge.config import Settings
from emomusic_edge.contracts import FaceDetector, InferenceEngine
from emomusic_edge.cuda_probe import probe_cuda
from emomusic_edge.engine_store import EngineStore
from emomusic_edge.errors import ModelError
from emomusic_edge.graph_store import GraphStore
from emomusic_edge.manifest import Manifest
from emomusic_edge.model_file import open_bundle
from emomusic_edge.paths import CacheLayout, DataLayout
from emomusic_edge.runtime.engines.choose import CPU_PROVIDER, EngineMakers, choose_engine
from emomusic_edge.runtime.engines.cpu_fallback import CpuFallback
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.engines.tensorrt import TensorRTEngine, import_tensorrt
from emomusic_edge.runtime.faces.blazeface import BlazeFace
from emomusic_edge.runtime.faces.confirm import ConfirmedFaces
from emomusic_edge.runtime.faces.mediapipe_detector import MediaPipeDetector
from emomusic_edge.runtime.locate import MAKE_STARTERS, find_bundle
from emomusic_edge.runtime.mqtt.messages import ModelFact
from emomusic_edge.runtime.predictors import AffectPredictor
from emomusic_edge.trust import signature_check

_log = logging.getLogger(__name__)


def engine_makers(threads: int, graphs: GraphStore | None = None) -> EngineMakers:
    """How the engines of this machine are built.

    Args:
        threads: those of one inference on the CPU, 0 for one a core.
        graphs: where optimised graphs are kept; None optimises at each load.
    """
    return EngineMakers(
        probe=probe_cuda,
        import_tensorrt=import_tensorrt,
        tensorrt=lambda plan, name, trt: TensorRTEngine(plan, name=name, trt=trt),
        onnx_runtime=lambda model, name, providers: OrtEngine(
            model, name=name, threads=threads, providers=providers, graphs=graphs
        ),
    )


def affect_model(
    name_or_path: str, source: str, settings: Settings, loaded: contextlib.ExitStack
) -> tuple[AffectPredictor, Manifest]:
    """The scene or face model that the settings name.

    Raises:
        ModelError: it is missing, altered, of the other source, or nothing runs it.
    """
    engine, manifest = _engine(name_or_path, settings, loaded)
    if manifest.source != source:
        raise ModelError(
            f"Model bundle {manifest.name} is a {manifest.source or manifest.kind} model, a {source} model is needed.",
            mend=f"Name another one in the config: models.{source}",
        )
    models = settings.models
    predictor = AffectPredictor(engine, manifest, samples=models.samples, masks=models.masks, seed=models.mask_seed)
    return predictor, manifest


class ModelsInUse(Mapping[str, ModelFact]):
    """The models by part, for `health`: each is asked anew what it runs on, for a lost GPU changes that.

    Args:
        names: what each is called, by part.
        now_on: what each runs on at the moment, by part.
    """

    def __init__(self, names: Mapping[str, str], now_on: Callable[[], Mapping[str, str]]) -> None:
        self._names = names
        self._now_on = now_on

    def __getitem__(self, part: str) -> ModelFact:
        return ModelFact(self._names[part], self._now_on()[part])

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def face_detector(settings: Settings, loaded: contextlib.ExitStack) -> tuple[FaceDetector, Callable[[], str]]:
    """The detector that the settings name, and what tells on what it runs at the moment.

    Raises:
        ModelError: it is missing, altered, or nothing runs it.
    """
    detector: FaceDetector
    runs_on: Callable[[], str]
    if settings.models.detector == "mediapipe":
        detector, runs_on = MediaPipeDetector(min_score=settings.faces.min_score), lambda: "mediapipe"
    else:
        engine, manifest = _engine(settings.models.detector, settings, loaded)
        detector, runs_on = BlazeFace(engine, manifest, min_score=settings.faces.min_score), lambda: engine.provider
    return ConfirmedFaces(detector, start_score=settings.faces.start_score), runs_on


def _engine(name_or_path: str, settings: Settings, loaded: contextlib.ExitStack) -> tuple[InferenceEngine, Manifest]:
    bundle = find_bundle(name_or_path, settings)
    check = signature_check(bundle, settings.trust.allowed_signers, ModelError)
    manifest, model = open_bundle(bundle, mend=MAKE_STARTERS, check=check)
    makers = engine_makers(settings.models.threads, GraphStore(CacheLayout(settings.paths.cache_dir).graphs))
    chosen = choose_engine(
        model,
        manifest,
        makers,
        wanted=settings.models.engine,
        samples=settings.models.samples,
        store=EngineStore(DataLayout(settings.paths.data_dir).engines),
    )
    loaded.callback(chosen.close)
    for reason in chosen.passed_over:
        _log.log(reason.level, "%s: %s", manifest.name, reason)
    if chosen.engine.provider == CPU_PROVIDER:
        return chosen.engine, manifest
    fallback = CpuFallback(
        chosen.engine, manifest.name, lambda: makers.onnx_runtime(model, manifest.name, [CPU_PROVIDER])
    )
    return fallback, manifest
