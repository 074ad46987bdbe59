"""Where a config says that the music is: its folders, and what was measured of it."""

from __future__ import annotations

from pathlib import Path

from emomusic_edge.config import load_config, parse_assignments
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.roots_file import write_roots
from emomusic_edge.runtime.locate import audio_roots, loudness_file


def test_a_merged_index_brings_its_folders(tmp_path: Path) -> None:
    settings = load_config(None, parse_assignments([f"music.index={tmp_path}/all.npz"]))
    assert audio_roots(settings) == AudioRoots(tmp_path, {})
    write_roots(tmp_path / "all.npz", {"deam": tmp_path / "deam"})
    assert audio_roots(settings) == AudioRoots(tmp_path, {"deam": tmp_path / "deam"})
    settings = load_config(
        None, parse_assignments([f"music.index={tmp_path}/all.npz", f"music.audio_dir={tmp_path}/music"])
    )
    assert audio_roots(settings).folder == tmp_path / "music"


def test_loudness_is_beside_the_index_and_never_in_the_package(tmp_path: Path) -> None:
    settings = load_config(None, parse_assignments([f"music.index={tmp_path}/my.npz"]))
    assert loudness_file(settings) == tmp_path / "my.loudness.jsonl"
    settings = load_config(None, parse_assignments(["music.index=deam", f"paths.data_dir={tmp_path}/data"]))
    assert loudness_file(settings) == tmp_path / "data" / "deam_windows.loudness.jsonl"
