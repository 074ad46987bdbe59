"""What the exports cost in seconds and memory: each in a process of its own, several times, medians and spread.

make bench-export
python benchmarks/export_cost.py --runs 5
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

# What the project asks of two x86 cores.
GOALS = {"scene, gates 1 and 2": (60.0, 4000.0), "starters": (15.0, None), "scene, all gates": (None, None)}


def child(what: str, scratch: Path) -> None:
    """One export; the parent measures this process."""
    from emomusic_edge.paths import default_cache_dir

    if what == "starters":
        from emomusic_edge.export.starter.bundles import STARTER_BUNDLES, ensure_bundle

        for bundle in STARTER_BUNDLES:
            ensure_bundle(bundle, scratch / "models", default_cache_dir())
        return
    import dataclasses

    from emomusic_edge.export.checkpoint.load import load_checkpoint
    from emomusic_edge.export.network.masked import MaskedRegressor
    from emomusic_edge.export.pictures import default_pictures
    from emomusic_edge.export.pipeline import ALL_GATES, FACE_MARGIN, export_network
    from emomusic_edge.export.precision.lower import Lowering
    from emomusic_edge.export.reference_plan import reference_plan
    from emomusic_edge.export.report import Steps

    plan = dataclasses.replace(reference_plan("scene"), gates=ALL_GATES if "all" in what else ("contract", "parity"))
    loaded = load_checkpoint(scratch / "scene_model.pth", "scene", dropout_p=plan.dropout_p)
    pictures = default_pictures("scene", default_cache_dir(), FACE_MARGIN)
    network = MaskedRegressor(loaded.regressor, plan.normalisation)
    export_network(network, plan, pictures, scratch / "bundle", Lowering(scratch), Steps())


def measure(what: str, scratch: Path) -> tuple[float, float]:
    """Seconds and peak resident megabytes of one run in a process of its own."""
    started_s = time.perf_counter()
    process = os.posix_spawn(
        sys.executable, [sys.executable, __file__, "--child", what, "--scratch", str(scratch)], dict(os.environ)
    )
    _, status, usage = os.wait4(process, 0)
    if status != 0:
        sys.exit(f"{what} ended with status {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started_s, usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="of each export, interleaved (default 3)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--scratch", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.scratch)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    found: dict[str, list[tuple[float, float]]] = {what: [] for what in GOALS}
    with tempfile.TemporaryDirectory() as folder:
        _write_checkpoint(Path(folder) / "scene_model.pth")
        for run in range(arguments.runs):
            for what in GOALS:
                with tempfile.TemporaryDirectory(dir=folder) as inner:
                    scratch = Path(inner)
                    (scratch / "scene_model.pth").symlink_to(Path(folder) / "scene_model.pth")
                    found[what].append(measure(what, scratch))
                console.print(f"run {run + 1}: {what}: {found[what][-1][0]:.1f} s", style="dim", highlight=False)
    table = Table("export", "seconds", "goal", "peak memory, MB", "goal", title="process start to end")
    for what, runs in found.items():
        seconds, megabytes = ([run[place] for run in runs] for place in (0, 1))
        goals = [f"< {goal:.0f}" if goal else "" for goal in GOALS[what]]
        table.add_row(what, _spread(seconds, 1), goals[0], _spread(megabytes, 0), goals[1])
    console.print(table)


def _write_checkpoint(path: Path) -> None:
    import torch

    from emomusic_edge.export.network.reference import reference_regressor

    torch.save(reference_regressor("scene").state_dict(), path)


def _spread(values: list[float], digits: int) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


if __name__ == "__main__":
    main()
