"""The models of a run: unaltered, loaded, run once, and on what; as a run would take them."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.config import Settings
from emomusic_edge.contracts import InferenceEngine
from emomusic_edge.cuda_probe import Gpu, probe_cuda
from emomusic_edge.engine_store import EngineStore, engine_key
from emomusic_edge.errors import EmomusicError, ModelError
from emomusic_edge.made_pictures import made_picture
from emomusic_edge.manifest import Manifest
from emomusic_edge.model_file import open_bundle
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.app.models import engine_makers
from emomusic_edge.runtime.engines.choose import CPU_PROVIDER, Chosen, choose_engine
from emomusic_edge.runtime.engines.tensorrt import import_tensorrt
from emomusic_edge.runtime.locate import MAKE_STARTERS, find_bundle
from emomusic_edge.trust import signature_check

from .finding import About, Finding
from .setup import Setup

_SHOWN_DIGITS = 12

_about = About("models")


def look(setup: Setup) -> Iterator[Finding]:
    """The scene model, the face model and the detector.

    Args:
        setup: which ones, and what is to run them.
    """
    models = setup.settings.models
    for part, name in {"scene": models.scene, "face": models.face}.items():
        yield from _model(part, name, setup.settings)
    if models.detector == "mediapipe":
        yield _mediapipe()
    else:
        yield from _model("detector", models.detector, setup.settings)


def _model(part: str, name: str, settings: Settings) -> Iterator[Finding]:
    try:
        bundle = find_bundle(name, settings)
        check = signature_check(bundle, settings.trust.allowed_signers, ModelError)
        manifest, model = open_bundle(bundle, mend=MAKE_STARTERS, check=check)
        _fits(part, manifest)
        # No folder for optimised graphs: the doctor writes nothing, least of all as another user than the run's.
        chosen = choose_engine(
            model,
            manifest,
            engine_makers(settings.models.threads),
            wanted=settings.models.engine,
            samples=settings.models.samples,
            store=EngineStore(DataLayout(settings.paths.data_dir).engines),
        )
    except EmomusicError as error:
        yield _broken(part, error)
        return
    try:
        yield _run(part, manifest, chosen, settings)
    except EmomusicError as error:
        yield _broken(part, error)
    finally:
        chosen.close()
    for reason in chosen.passed_over:
        if settings.models.engine != "auto" or reason.mend:
            yield _about.warning(
                f"{part}-engine",
                f"{manifest.name}: {reason.what} is passed over: {reason.reason.rstrip('.')}",
                meaning="It runs all the same, on what stands above, only slower.",
                mend=reason.mend or 'Set models.engine = "auto" where that is meant to be',
            )


def _fits(part: str, manifest: Manifest) -> None:
    found = manifest.source or manifest.kind
    if found != part:
        raise EmomusicError(
            f"Model bundle {manifest.name} is a {found} model, a {part} model is needed.",
            mend=f"Name another one in the config: models.{part}",
        )


def _broken(part: str, error: EmomusicError) -> Finding:
    return _about.problem(
        part, str(error).rstrip("."), meaning="No run starts without it.", mend=error.mend, sha256=None, provider=None
    )


def _run(part: str, manifest: Manifest, chosen: Chosen, settings: Settings) -> Finding:
    """Run it twice on a made picture: the first time warms up, the second is told."""
    inputs: dict[str, NDArray[np.generic]] = {
        "image": made_picture(0, manifest.image.height_px, manifest.image.width_px)
    }
    if manifest.mc_dropout is not None:
        rows = settings.models.samples or manifest.mc_dropout.default_samples
        inputs["masks"] = np.ones((rows, manifest.mc_dropout.mask_width), np.float32)
    chosen.engine.run(inputs)
    began_s = time.perf_counter()
    answers = chosen.engine.run(inputs)
    run_ms = (time.perf_counter() - began_s) * 1000
    sha256 = manifest.files[manifest.model_file(on_cpu=chosen.engine.provider == CPU_PROVIDER)]
    unsound = [name for name, values in answers.items() if not np.isfinite(np.asarray(values, np.float64)).all()]
    if unsound:
        return _about.problem(
            part,
            f"{manifest.name} gives numbers that are not finite ({', '.join(unsound)})",
            meaning="Its estimates are of no use.",
            mend="Export it again: docs/export.md",
            sha256=sha256,
            provider=chosen.engine.provider,
        )
    key = _key(manifest, chosen.engine)
    kind = "starter model, " if manifest.starter else "random weights, " if manifest.latency_only else ""
    found = (
        f"{manifest.name} ({kind}{manifest.precision}) runs on {chosen.engine.provider} in {run_ms:.1f} ms; "
        f"its file is unaltered (sha256 {sha256[:_SHOWN_DIGITS]}…)"
    )
    return _about.ok(
        part,
        found + (f"; engine {key[:_SHOWN_DIGITS]}…" if key else ""),
        sha256=sha256,
        provider=chosen.engine.provider,
        run_ms=round(run_ms, 3),
        precision=manifest.precision,
        engine_key=key,
    )


def _key(manifest: Manifest, engine: InferenceEngine) -> str | None:
    """The digest of what a TensorRT engine is bound to, T aside; None where another engine runs the model."""
    gpu = probe_cuda()
    if not engine.provider.startswith("TensorRT") or not isinstance(gpu, Gpu):
        return None
    return engine_key(manifest, gpu, str(import_tensorrt().__version__)).digest()


def _mediapipe() -> Finding:
    if importlib.util.find_spec("mediapipe") is not None:
        return _about.ok("detector", "mediapipe is installed", provider="mediapipe")
    return _about.problem(
        "detector",
        "models.detector is mediapipe, which is not installed",
        meaning="No run starts without it.",
        mend='Set models.detector = "blazeface-full"',
        provider=None,
    )
