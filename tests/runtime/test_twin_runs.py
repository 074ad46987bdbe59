"""Two whole runs of one node's name on one broker: the later one ends with code 75 and says why; the first goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from broker import DEADLINE_S, Broker, Listener
from made_pictures import write_video
from own_layout import own_layout

from emomusic_edge.paths import DataLayout


@pytest.mark.broker
def test_the_later_of_two_ends_and_the_first_goes_on(
    starter_layout: DataLayout, broker: Broker, listener: Listener, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.avi"
    write_video(clip, frames=15, frames_per_second=30.0)
    line = [sys.executable, "-m", "emomusic_edge", "run", "--loop", "--source", str(clip), "--muted"]
    line += ["--set", f"mqtt.port={broker.port}", "--set", "mqtt.node=kitchen"]
    # One home, two data folders, as two devices have.
    first_line, later_line = (
        [*line, "--set", f"paths.data_dir={own_layout(starter_layout, tmp_path / name).root}"]
        for name in ("first", "later")
    )
    first = subprocess.Popen(first_line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        # Of the same age neither is the later: 5 s apart they are not.
        listener.wait("emomusic/kitchen/state", count=12)
        later = subprocess.run(later_line, capture_output=True, text=True, timeout=4 * DEADLINE_S, check=False)
        assert later.returncode == 75, later.stderr
        assert "uses the name 'kitchen' and has run for longer" in later.stderr.replace("\n", " ")
        assert "mqtt.node" in later.stderr
        assert first.poll() is None
        listener.send("emomusic/kitchen/cmd/skip")
        assert listener.wait("emomusic/kitchen/cmd/skip/result").json["ok"]
        listener.barrier()
        assert {heard.payload for heard in listener.all("emomusic/kitchen/availability")} == {b"online"}
    finally:
        os.kill(first.pid, signal.SIGTERM)
        _, said = first.communicate(timeout=DEADLINE_S)
    assert first.returncode == 0, said
