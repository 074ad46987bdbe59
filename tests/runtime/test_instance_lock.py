"""One run for each data folder: a second process is refused and told whom to ask; a killed one leaves nothing."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from broker import DEADLINE_S

from emomusic_edge.errors import TwinError
from emomusic_edge.runtime.instance_lock import holder, only_run

HOLDER = """
import pathlib, sys
from emomusic_edge.runtime.instance_lock import only_run
with only_run(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_refused_until_the_first_is_gone_however_it_ends(tmp_path: Path) -> None:
    lock = tmp_path / "data" / "run.lock"
    assert holder(lock) is None
    line = [sys.executable, "-c", HOLDER, str(lock)]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        assert holder(lock) == first.pid
        with pytest.raises(TwinError, match=rf"{tmp_path / 'data'}: process {first.pid}\.") as refused, only_run(lock):
            pass
        assert refused.value.exit_code == 75
        assert f"kill {first.pid}" in refused.value.mend
        assert "paths.data_dir" in refused.value.mend
        assert holder(lock) == first.pid, "who was refused took nothing"
        first.send_signal(signal.SIGKILL)
        first.wait(DEADLINE_S)
    # The file with the number of the dead one still stands: it is nobody's.
    assert holder(lock) is None
    with only_run(lock):
        assert holder(lock) == os.getpid()
    assert holder(lock) is None


def test_a_look_at_it_keeps_nobody_from_starting(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    lock.touch()
    looks = "import pathlib, sys\nfrom emomusic_edge.runtime.instance_lock import holder\nprint('up', flush=True)\n"
    looks += "while True: holder(pathlib.Path(sys.argv[1]))"
    with subprocess.Popen([sys.executable, "-c", looks, str(lock)], stdout=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        watching.stdout.readline()
        try:
            for _ in range(20):
                with only_run(lock):
                    pass
        finally:
            watching.kill()


def test_the_process_that_a_run_starts_does_not_hold_it(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    with only_run(lock):
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        assert holder(lock) is None
    finally:
        child.communicate(timeout=DEADLINE_S)


def test_where_no_file_can_be_made_the_run_goes_on_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING), only_run(tmp_path / "file" / "run.lock"):
        pass
    assert "whether another run goes on is not known" in caplog.text
