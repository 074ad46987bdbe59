"""A music index that is cut on the disk while a run has it: a small one is in memory, a mapped one ends the process.

That end is the kernel's SIGBUS, which nothing in Python can catch; systemd counts it as a failure and starts it again.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from index_cost import library

from emomusic_edge.deam_index.index_file import write_index
from emomusic_edge.deam_index.stored_npz import MAPPED_BYTES

# Looks up what a choice does of a window: its song, where it starts, what it is called.
SCRIPT = """
import sys
from pathlib import Path
from emomusic_edge.deam_index.index_file import read_index
index = read_index(Path(sys.argv[1]))
print("ready", flush=True)
for line in sys.stdin:
    found = set()
    for row in range(0, len(index.points), 97):
        song = int(index.song[row])
        found.add((index.song_ids[song], index.titles[song], float(index.start_s[row])))
    print(len(found), flush=True)
"""


class Chooser:
    """A process that has an index and chooses from it."""

    def __init__(self, file: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def chosen(self) -> str:
        """How many windows it found; empty when it is gone."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def end(self) -> int:
        """Its exit code."""
        self._process.communicate(timeout=60)
        return self._process.returncode


@pytest.mark.parametrize(("songs", "mapped"), [(2_000, False), (40_000, True)])
def test_an_index_is_cut_while_it_is_in_use(tmp_path: Path, songs: int, mapped: bool) -> None:
    file = tmp_path / "music.npz"
    write_index(file, library(songs))
    assert (file.stat().st_size >= MAPPED_BYTES) is mapped
    whole = file.read_bytes()
    chooser = Chooser(file)
    before = chooser.chosen()
    assert int(before) > 100
    # Replaced, as the commands under `index` do, it stays what it was.
    other = tmp_path / "other"
    other.write_bytes(whole)
    other.replace(file)
    assert chooser.chosen() == before
    chooser.end()
    chooser = Chooser(file)
    with file.open("r+b") as cut:
        cut.truncate(4096)
    if not mapped:
        assert chooser.chosen() == before
        assert chooser.end() == 0
        return
    assert chooser.chosen() == ""
    assert chooser.end() == -signal.SIGBUS
    # Started again with the file whole, all is well.
    file.write_bytes(whole)
    again = Chooser(file)
    assert again.chosen() == before
    assert again.end() == 0
