"""What it costs that a process of its own reads the camera.

    python benchmarks/camera_process.py

A camera of files (tests/runtime/file_camera.py: 640 x 480, MJPG, 30 frames a second, the real Video4Linux backend of
OpenCV) is read by UsbCamera in this process and by ChildCamera in turns, each run in a fresh process. Prints medians.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 7
FRAMES = 150
_TESTS = Path(__file__).resolve().parent.parent / "tests" / "runtime"


def main() -> None:
    """Run the two in turns and print the table."""
    sys.path.insert(0, str(_TESTS))
    from file_camera import FileCamera, preload

    found: dict[str, list[dict[str, float]]] = {"direct": [], "child": []}
    with tempfile.TemporaryDirectory() as folder:
        camera = FileCamera(Path(folder), width_px=640, height_px=480)
        camera.play(period_ms=33)
        for _ in range(RUNS):
            for how, figures in found.items():
                # in the child's case this process must not see the device at all
                run = subprocess.run(
                    [sys.executable, __file__, how, str(camera.device)],
                    env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "LD_PRELOAD": preload(camera)},
                    check=True,
                    capture_output=True,
                    text=True,
                )
                figures.append(json.loads(run.stdout))
    print("| | in this process | in a child |\n|---|---|---|")
    for name in found["direct"][0]:
        direct, child = (statistics.median(run[name] for run in found[how]) for how in ("direct", "child"))
        print(f"| {name} | {direct:.2f} | {child:.2f} |")


def one(how: str, device: str) -> dict[str, float]:
    """Read some frames and tell what they cost."""
    from emomusic_edge.runtime.camera import UsbCamera
    from emomusic_edge.runtime.camera.child_camera import usb_camera

    wishes = {"width_px": 640, "height_px": 480, "frames_per_second": 30.0}
    source = UsbCamera(device, **wishes) if how == "direct" else usb_camera(device, **wishes)  # type: ignore[arg-type]
    began_s = time.monotonic()
    source.open()
    source.read()
    opened_s = time.monotonic() - began_s
    child = getattr(source, "pid", None)
    before_s = time.process_time() + _cpu_s(child)
    began_s = time.monotonic()
    ages_ms = []
    for _ in range(FRAMES):
        frame = source.read()
        if frame is not None:
            ages_ms.append(1e3 * (time.monotonic() - frame.captured_at_s))
    taken_s = time.monotonic() - began_s
    cpu_s = time.process_time() + _cpu_s(child) - before_s
    memory = _pss_mib("self") + (_pss_mib(str(child)) if child else 0.0)
    child_mib = _pss_mib(str(child)) if child else 0.0
    began_s = time.monotonic()
    source.close()
    return {
        "from open() to the first picture, s": opened_s,
        "close(), ms": 1e3 * (time.monotonic() - began_s),
        "frames a second": FRAMES / taken_s,
        "processor time a frame, ms": 1e3 * cpu_s / FRAMES,
        "age of a frame when read() returns, ms": statistics.median(ages_ms),
        "the same, 95 of 100": sorted(ages_ms)[int(0.95 * len(ages_ms))],
        "memory (PSS) of both, MiB": memory,
        "of it the child's, MiB": child_mib,
    }


def _cpu_s(pid: int | None) -> float:
    if pid is None:
        return 0.0
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _pss_mib(pid: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


if __name__ == "__main__":
    if len(sys.argv) > 2:
        print(json.dumps(one(sys.argv[1], sys.argv[2])))
    else:
        main()
