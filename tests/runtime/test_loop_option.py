"""`run --loop`: a file over and over, fast and in real time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_pictures import write_video

from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.record import read_record


def looped(layout: DataLayout, folder: Path, *arguments: str) -> tuple[Any, Any]:
    """Run on a clip of 0.5 s until 12 frames are worked on; record and summary."""
    clip, record, summary = folder / "clip.avi", folder / "run.csv", folder / "run.json"
    write_video(clip, frames=15, frames_per_second=30.0)
    line = [sys.executable, "-m", "emomusic_edge", "run", "--loop", "--source", str(clip), "--max-frames", "12"]
    line += ["--no-mqtt", "--muted", "--set", f"paths.data_dir={layout.root}", *arguments]
    line += ["--record", str(record), "--summary", str(summary)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return read_record(record), json.loads(summary.read_text())


@pytest.mark.parametrize("mode", [["--fast"], []], ids=["fast", "in real time"])
def test_a_file_goes_on_after_its_end(mode: list[str], starter_layout: DataLayout, tmp_path: Path) -> None:
    record, summary = looped(starter_layout, tmp_path, *mode)
    assert summary["frames"] == 12
    # the clip alone has five frames at ten a second
    assert record["t_s"][-1] - record["t_s"][0] > 1.0
    assert all(later > earlier for earlier, later in zip(record["t_s"], record["t_s"][1:], strict=False))
