"""What the music index costs: to build, to load, to ask; and the memory of a large one. Prints a table.

`make bench-index`. Each figure stands beside its bound; one that is missed is named at the end, and the command fails.
Times of two things are compared in turns, and told as ratios: milliseconds drift with the machine.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index.index_file import read_index, write_index
from emomusic_edge.deam_index.music_index import MusicIndex
from emomusic_edge.deam_index.window_grid import WindowGrid
from emomusic_edge.paths import packaged_deam_index
from emomusic_edge.runtime.choice.rule import ChoiceRule, SongChoice

K = 20
LARGE_SONGS = 200_000

# What is promised of an index. Wall time is held to here, on a quiet machine, and nowhere in the tests.
BUILD_S, BUILD_MB = 5.0, 300.0
LOAD_MS = 30.0
QUERY_RATIO = 0.4
LARGE_MB = 150.0
# Asked at each frame once a song has had its time; a frame comes each 100 ms.
FRAME_MS = 5.0
WINDOWS_PER_SONG = 10

BUILD = """
import sys, time
from pathlib import Path
start_s = time.perf_counter()
from emomusic_edge.deam_index.annotations import read_annotations
from emomusic_edge.deam_index.build import build_index
from emomusic_edge.deam_index.index_file import write_index
write_index(Path(sys.argv[2]), build_index(read_annotations(Path(sys.argv[1]))))
seconds = time.perf_counter() - start_s
# not ru_maxrss, which begins with what the parent process held
peak_kb = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
print(seconds, peak_kb / 1024)
"""

_LARGE = """
import sys, time
from pathlib import Path
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.runtime.choice.rule import ChoiceRule, SongChoice
import numpy as np

def status_mb(field):
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[field].split()[0]) / 1024

imported = status_mb("VmRSS")
start_s = time.perf_counter()
index = read_index(Path(sys.argv[1]))
loaded_s, loaded = time.perf_counter() - start_s, status_mb("VmRSS")
choice = SongChoice(index, np.ones(index.song_count, np.bool_), ChoiceRule())
for number in range(2000):
    row = choice.choose(ValenceArousal((number % 7 - 3) / 10, (number % 5 - 2) / 10))
    song = int(index.song[row])
    index.titles[song], index.files[song], index.start_s[row]
    choice.played(song)
index.row_of("123456")
print(imported, loaded_s, loaded, status_mb("VmRSS"), status_mb("VmHWM"))
"""


def library(songs: int, per_song: int = WINDOWS_PER_SONG) -> MusicIndex:
    """A made-up library, spread as DEAM's songs and windows are."""
    generator = np.random.default_rng(0)
    centres = generator.normal((0.077, 0.127), (0.24, 0.28), (songs, 2))
    points = np.repeat(centres, per_song, axis=0) + generator.normal(0, 0.02, (songs * per_song, 2))
    start_s = np.tile(np.arange(per_song) * 5.0, songs).astype(np.float32)
    return MusicIndex(
        name="large",
        points=np.clip(points, -1, 1).astype(np.float32),
        start_s=start_s,
        end_s=start_s + np.float32(10),
        song=np.repeat(np.arange(songs), per_song).astype(np.int32),
        song_ids=tuple(f"{song:06}" for song in range(songs)),
        titles=tuple(f"An artist of some name – A title, number {song}" for song in range(songs)),
        files=tuple(f"library/{song // 1000:03}/a track {song:06}.mp3" for song in range(songs)),
        song_end_s=np.full(songs, 60, np.float32),
        reference_mean=ValenceArousal(0.077, 0.127),
        reference_sd=ValenceArousal(0.251, 0.283),
        reference_quantiles=np.array([[-1, -1], [1, 1]], np.float32),
        provenance={},
        window_s=10.0,
        hop_s=5.0,
    )


def in_a_process(code: str, *arguments: str) -> list[float]:
    """The numbers that a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


def query_us(points: NDArray[np.float32], rounds: int = 7, queries: int = 400) -> tuple[float, float]:
    """Medians of turns, in microseconds a query: our grid, scikit-learn's KDTree."""
    from sklearn.neighbors import KDTree

    targets = np.random.default_rng(1).normal((0.077, 0.127), (0.25, 0.28), (queries, 2))
    ours, theirs = WindowGrid(points), KDTree(points)
    times: dict[str, list[float]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        start_s = time.perf_counter()
        for target in targets:
            ours.nearest(target, K)
        times["ours"].append(time.perf_counter() - start_s)
        start_s = time.perf_counter()
        for target in targets:
            theirs.query(target[None], k=K)
        times["theirs"].append(time.perf_counter() - start_s)
    return median(times["ours"]) / queries * 1e6, median(times["theirs"]) / queries * 1e6


def coarse_ms(questions: int = 200) -> tuple[float, float, float]:
    """100,000 windows at the 81 places of whole ratings from 1 to 9, and where thousands are equally near.

    Returns:
        Milliseconds: medians of what each frame asks after the dwell, when nothing is near enough, and of a choice; and
        the longest choice.
    """
    fine = library(10_000)
    index = replace(fine, points=np.clip(np.round(fine.points * 4) / 4, -1, 1).astype(np.float32))
    choice = SongChoice(index, np.ones(index.song_count, np.bool_), ChoiceRule())
    frames, choices = [], []
    playing = None
    for place in np.random.default_rng(1).normal((0.077, 0.127), (0.25, 0.28), (questions, 2)):
        target = ValenceArousal(*place)
        start_s = time.perf_counter()
        choice.choose(target, playing=playing, nearer_than=0.0)
        chosen_s = time.perf_counter()
        row = choice.choose(target, playing=playing)
        choices.append(time.perf_counter() - chosen_s)
        frames.append(chosen_s - start_s)
        if row is not None:
            playing = int(index.song[row])
            choice.played(playing)
    return median(frames) * 1e3, median(choices) * 1e3, max(choices) * 1e3


class Bounds:
    """Holds figures to their bounds: each is printed beside its own, and those that are missed at the end."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def told(self, what: str, value: float, bound: float, unit: str, digits: int = 1) -> str:
        """The figure with its bound, as it is printed."""
        text = f"{value:.{digits}f} {unit}".rstrip()
        if value > bound:
            self.missed.append(f"MISSED: {what}: {text}, at most {bound:g} {unit}".rstrip())
        return f"{text} (at most {bound:g})"


def main() -> int:
    """Measure what was asked for and print it; 1 if a bound is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--deam", type=Path, help="folder or .zip of DEAM's annotations, to time the build")
    parser.add_argument("--large", action="store_true", help="a library of 200,000 songs only: its memory")
    options = parser.parse_args()
    bounds = Bounds()
    with tempfile.TemporaryDirectory() as scratch:
        if not options.large:
            if options.deam:
                seconds, mb = in_a_process(BUILD, str(options.deam), f"{scratch}/deam.npz")
                print(
                    f"build from DEAM's files, imports and all: {bounds.told('build', seconds, BUILD_S, 's', 2)}, "
                    f"{bounds.told('memory of the build', mb, BUILD_MB, 'MB', 0)}"
                )
            loads = []
            for _ in range(15):
                start_s = time.perf_counter()
                read_index(packaged_deam_index())
                loads.append(time.perf_counter() - start_s)
            print(f"load the bundled index: {bounds.told('load', median(loads) * 1e3, LOAD_MS, 'ms')}")
            for songs in (1_500, 150_000):
                points = library(songs).points
                ours, theirs = query_us(points)
                ratio = bounds.told(f"query of {len(points):,} points", ours / theirs, QUERY_RATIO, "", 2)
                print(
                    f"query, k = {K}, {len(points):>9,} points {ours:6.1f} us; scikit-learn's KDTree {theirs:6.1f} us; "
                    f"ratio {ratio}"
                )
            frame, chosen, longest = coarse_ms()
            print(
                f"100,000 windows at 81 places: asked at a frame {bounds.told('frame', frame, FRAME_MS, 'ms', 2)}; "
                f"a choice {chosen:.1f} ms, {longest:.0f} at most"
            )
        path = Path(scratch) / "large.npz"
        write_index(path, library(LARGE_SONGS))
        imported, seconds, loaded, after, peak = in_a_process(_LARGE, str(path))
        print(
            f"{LARGE_SONGS:,} songs, {LARGE_SONGS * WINDOWS_PER_SONG:,} windows, {path.stat().st_size / 1e6:.0f} MB: "
            f"loaded in {seconds:.2f} s; resident {imported:.0f} MB after the imports, {loaded:.0f} loaded, "
            f"{after:.0f} ready to choose and after 2,000 choices, {peak:.0f} at most "
            f"(bound {LARGE_MB:.0f})"
        )
        bounds.told("memory of a large library", max(loaded, after, peak), LARGE_MB, "MB", 0)
    for line in bounds.missed:
        print(line, file=sys.stderr)
    return 1 if bounds.missed else 0


if __name__ == "__main__":
    sys.exit(main())
