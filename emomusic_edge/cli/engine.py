"""`emomusic-edge export engine`: build a bundle's TensorRT engine on the device that is to run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emomusic_edge.cli.run import CONFIG

if TYPE_CHECKING:
    from collections.abc import Callable

    from emomusic_edge.cuda_probe import Gpu
    from emomusic_edge.engine_store import EngineStore

# Of the process that runs the finished engine; loading CUDA's kernels from an SD card is most of it.
_SMOKE_TIMEOUT_S = 600.0

_BUNDLE = typer.Argument(help="The bundle's name or folder.", show_default=False)
_SAMPLES_MAX = typer.Option("--samples-max", min=1, max=128, help="The most dropout samples T that the engine takes.")
_WORKSPACE = typer.Option(
    "--workspace-mb", min=16, help="Scratch memory for one kernel; less for a board that runs out.", show_default=False
)
_TIMEOUT = typer.Option("--timeout-s", min=10, help="End the build after this long.")
_JSON = typer.Option("--json", help="Print one JSON object instead of lines.")


def engine(
    bundle: Annotated[str, _BUNDLE],
    samples_max: Annotated[int, _SAMPLES_MAX] = 128,
    workspace_mb: Annotated[int | None, _WORKSPACE] = None,
    timeout_s: Annotated[float, _TIMEOUT] = 3600.0,
    as_json: Annotated[bool, _JSON] = False,
    config: Annotated[Path | None, CONFIG] = None,
) -> None:
    """Build a bundle's TensorRT engine, try it against recorded answers, and keep it when it holds.

    To be run on the device: an engine belongs to one GPU and one TensorRT. It takes minutes on a small board, in
    processes of its own.
    """
    import json

    from rich.console import Console

    from emomusic_edge.config import load_config
    from emomusic_edge.cuda_probe import probe_cuda
    from emomusic_edge.engine_store import EngineStore
    from emomusic_edge.errors import ModelError
    from emomusic_edge.paths import DataLayout
    from emomusic_edge.runtime.locate import find_bundle

    console = Console(stderr=as_json)
    settings = load_config(config)
    folder = find_bundle(bundle, settings)
    gpu = probe_cuda()
    if isinstance(gpu, str):
        raise ModelError(
            f"No engine can be built here: {gpu}. An engine is TensorRT's form of a bundle for one NVIDIA GPU.",
            mend="Run this on the Jetson that is to run the bundle; here it runs as it is, on the CPU.",
        )
    store = EngineStore(DataLayout(settings.paths.data_dir).engines)
    with console.status("building") as status:

        def progress(line: str) -> None:
            status.update(line)
            console.print(line, style="dim", highlight=False, markup=False)

        told = build_and_keep(
            folder,
            gpu,
            store,
            samples_max=samples_max,
            samples=settings.models.samples,
            workspace_mb=workspace_mb,
            timeout_s=timeout_s,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    smoke = told["smoke"]
    console.print(f"{told['folder']}: engine of {told['bundle']} for {gpu.device}", highlight=False, markup=False)
    console.print(
        f"TensorRT {told['tensorrt']}, {smoke['run_ms']:g} ms an inference, {smoke['difference']:g} from "
        f"{smoke['reference']} (at most {smoke['bound']})",
        highlight=False,
        markup=False,
    )


def build_and_keep(
    folder: Path,
    gpu: Gpu,
    store: EngineStore,
    *,
    samples_max: int,
    samples: int | None = None,
    workspace_mb: int | None = None,
    timeout_s: float = 3600.0,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Build the engine of the bundle in `folder`, run it, and keep it in the store.

    Args:
        folder: the bundle's.
        gpu: this machine's.
        store: where it is kept.
        samples_max: the most mask rows it takes, 1..128; of no effect for a model without masks.
        samples: T, the mask rows that a run asks for; None for the bundle's default.
        workspace_mb: scratch memory for one kernel, in MiB; None leaves it to TensorRT.
        timeout_s: of the build.
        progress: gets each line of progress.

    Returns:
        `bundle`, `folder`, `tensorrt`, `device`, `platform`, `samples` and the figures of the `smoke` run.

    Raises:
        ModelError: the bundle is altered, a run would ask for more mask rows than the engine takes, or the build or the
            smoke run failed; nothing was kept.
    """
    import dataclasses
    import json
    import tempfile
    from datetime import datetime, timezone

    from emomusic_edge.engine_store import EngineRecord, engine_key
    from emomusic_edge.errors import ModelError
    from emomusic_edge.export.tensorrt.build import SampleRange
    from emomusic_edge.export.tensorrt.isolated import build_in_own_process
    from emomusic_edge.manifest import read_bundle
    from emomusic_edge.own_process import run_in_own_process
    from emomusic_edge.runtime.engines.smoke import SmokeJob

    manifest, model = read_bundle(folder)
    wanted = samples_max if manifest.mc_dropout is None else samples or manifest.mc_dropout.default_samples
    if wanted > samples_max:
        raise ModelError(
            f"An engine of {manifest.name} for at most {samples_max} samples would never be taken: a run asks for "
            f"{wanted}, {'as models.samples says' if samples else 'the default of the bundle'}.",
            mend=f"Give --samples-max {wanted} or more, or set models.samples to {samples_max} in the config.",
        )
    bounds = SampleRange(1, wanted, samples_max)
    built = build_in_own_process(
        model,
        manifest.name,
        bounds,
        workspace_bytes=None if workspace_mb is None else workspace_mb << 20,
        timing_cache=store.timing_cache(gpu.compute_capability),
        timeout_s=timeout_s,
        progress=progress,
    )
    key = engine_key(manifest, gpu, built.tensorrt, (bounds.least, bounds.best, bounds.most))
    with tempfile.TemporaryDirectory(prefix="emomusic-engine-") as scratch:
        plan = Path(scratch) / "engine.plan"
        plan.write_bytes(built.plan)
        job = SmokeJob(str(folder.resolve()), str(plan), built.sha256, samples_max)
        file = Path(scratch) / "job.json"
        file.write_text(json.dumps(dataclasses.asdict(job)), encoding="utf-8")
        smoke = run_in_own_process(
            "emomusic_edge.runtime.engines.smoke",
            [str(file)],
            what=f"Trying the engine of {manifest.name}",
            timeout_s=_SMOKE_TIMEOUT_S,
            progress=progress,
        )
    record = EngineRecord(key=key, plan_sha256=built.sha256, smoke=smoke, created_at=datetime.now(timezone.utc))
    kept = store.write(manifest.name, record, built.plan)
    return {
        "bundle": manifest.name,
        "folder": str(kept),
        "tensorrt": built.tensorrt,
        "device": gpu.device,
        "platform": gpu.platform,
        "samples": [key.samples_min, key.samples_opt, key.samples_max],
        "smoke": smoke,
    }
