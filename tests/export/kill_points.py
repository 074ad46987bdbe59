"""Writes a bundle over another and is killed at a chosen point: run by test_bundle_kill.py in a process of its own.

Every line of the writing code that is about to run is a point, and so is every call of the system that it makes through
Python; for each, a forked copy of this process kills itself there with SIGKILL.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from stub_models import mc_dropout_graph, mc_dropout_manifest, write_mc_dropout_bundle

from emomusic_edge import artefacts
from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.manifest import read_bundle

# The files whose lines are points; the last two are what writes and moves on their behalf.
WATCHED = ("emomusic_edge/artefacts.py", "export/bundle.py", "shutil.py", "tempfile.py", "pathlib.py", "contextlib.py")


def killed_at(point: int, folder: Path) -> bool:
    """Whether the copy reached the point and died there."""
    child = os.fork()
    if child == 0:
        seen = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Any:
            nonlocal seen
            if not frame.f_code.co_filename.endswith(WATCHED):
                return None
            if event == "line":
                seen += 1
                if seen == point:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        manifest = mc_dropout_manifest("scene")
        graph = mc_dropout_graph()
        sys.settrace(trace)
        write_bundle(folder / "bundle", graph, manifest)
        sys.settrace(None)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(folder: Path, kind: str) -> None:
    """Kill at every point in turn; print how often the old bundle, the new one or (fresh) none stood.

    Without exchange, none stands while the two renames are under way; `restored` counts how often that was seen.
    """
    fresh = kind == "fresh"
    if kind == "without exchange":
        # What a file system answers that lacks it; the forked copies inherit it.
        artefacts._exchange_in_one_step = lambda one, other: errno.EINVAL
    stood = {"face-stub": 0, "scene-stub": 0, "none": 0, "restored": 0}
    point = 0
    while True:
        point += 1
        if fresh:
            bundle = folder / f"{point}"
            bundle.mkdir()
        else:
            bundle = folder
            write_mc_dropout_bundle(bundle / "bundle", "face")
        died = killed_at(point, bundle)
        missed = not (bundle / "bundle").exists()
        artefacts.restore_interrupted(bundle / "bundle")
        try:
            found = read_bundle(bundle / "bundle")[0].name
        except ModelError:
            assert fresh, f"no whole bundle after point {point}"
            assert not (bundle / "bundle").exists(), f"part of a bundle after point {point}"
            found = "none"
        stood[found] += 1
        stood["restored"] += missed and found != "none"
        if not died:
            break
    write_mc_dropout_bundle(folder / "bundle", "face")
    left = [path.name for path in folder.iterdir() if path.name.startswith(".")]
    print(point - 1, *stood.values(), *left)  # noqa: T201 (what the test reads)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
