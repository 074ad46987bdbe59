"""A process that stood still for longer than a song is waited for: the song is not late, and plays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from sounds import sine, write

SCRIPT = """
import sys, time
from pathlib import Path
from emomusic_edge.runtime.audio.song_stream import SongStream
from emomusic_edge.sound_file import SoundReader
read = SoundReader.read
def slowly(*arguments, **named):
    for _ in range(20):
        time.sleep(0.02)
    return read(*arguments, **named)
SoundReader.read = slowly
stream = SongStream(Path(sys.argv[1]), start_s=0.0, end_s=5.0)
print("waits", flush=True)
stream.wait_filled(4096, float(sys.argv[2]))
print("plays", flush=True)
"""
WAIT_S = 2.0


def test_a_song_is_not_late_where_the_whole_process_stood_still(tmp_path: Path) -> None:
    song = write(tmp_path / "song.flac", sine(600.0, 6.0))
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(song), str(WAIT_S)], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waits\n"
        # It is to be in its wait by then; the first sound takes four times as long.
        time.sleep(0.1)
        os.kill(child.pid, signal.SIGSTOP)
        time.sleep(1.2 * WAIT_S)
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdout.read() == "plays\n"
        assert child.wait() == 0
