"""The starter music as files on disk: made once, whole, equally loud, unclipped, and what its plan says."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy import signal
from scipy.stats import spearmanr

from emomusic_edge.affect import DEAM
from emomusic_edge.deam_index.index_file import MusicIndex, read_index
from emomusic_edge.deam_index.starter_music import audio_file, make, rendering
from emomusic_edge.deam_index.starter_music.cues import MODES_FROM_HAPPIEST, mode
from emomusic_edge.deam_index.starter_music.make import STARTER_INDEX_NAME, ensure_starter_music, is_whole
from emomusic_edge.deam_index.starter_music.plan import PIECE_S, PIECES, Piece
from emomusic_edge.errors import AudioError, MissingExtraError

# Krumhansl & Kessler 1982, as in test_starter_music_score.py
KRUMHANSL_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
KRUMHANSL_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    """The whole set; kept in pytest's cache between runs for as long as no source file that makes it changes."""
    sources = sorted(Path(make.__file__).parent.glob("*.py"))
    # The last bits of a sample are those of the libraries too.
    libraries = "".join(f"{name} {version(name)}" for name in ("numpy", "scipy", "soundfile")).encode()
    made_by = hashlib.sha256(b"".join([libraries, *(source.read_bytes() for source in sources)])).hexdigest()[:16]
    kept = request.config.cache.mkdir("starter-music")
    for old in kept.iterdir():
        if old.name != made_by:
            shutil.rmtree(old)
    ensure_starter_music(kept / made_by)
    return kept / made_by


@pytest.fixture(scope="module")
def index(folder: Path) -> MusicIndex:
    return read_index(folder / STARTER_INDEX_NAME)


@pytest.fixture(scope="module")
def decoded(folder: Path) -> list[tuple[Piece, np.ndarray, int]]:
    return [(piece, *soundfile.read(folder / piece.file_name, dtype="float32")) for piece in PIECES]


def test_the_folder_holds_the_pieces_the_index_and_nothing_else(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {p.file_name for p in PIECES} | {STARTER_INDEX_NAME}
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_a_second_call_makes_nothing(folder: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    told: list[int] = []
    assert ensure_starter_music(folder, lambda done, total: told.append(done)) == folder / STARTER_INDEX_NAME
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert told == []


def test_the_index_tells_the_affect_each_piece_was_made_for(index: MusicIndex) -> None:
    assert index.name == "starter"
    assert index.song_count == len(PIECES)
    assert index.window_count == 8 * len(PIECES)
    assert set(np.unique(index.start_s)) == {0.0, 5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 35.0}
    assert np.all(index.end_s - index.start_s == 10.0)
    assert np.all(index.song_end_s == PIECE_S)
    for row, piece in enumerate(PIECES):
        np.testing.assert_allclose(index.points[index.song == row], [piece.affect] * 8, atol=1e-6)
        assert index.titles[row] == piece.shown_title
    assert index.reference_mean == DEAM.mean
    assert index.reference_sd == DEAM.sd
    np.testing.assert_allclose(index.reference_quantiles[50], DEAM.mean, atol=1e-6)
    assert "nobody has rated" in index.provenance["affect"]


def test_every_file_is_45_s_of_stereo_at_one_loudness_and_not_clipped(
    decoded: list[tuple[Piece, np.ndarray, int]],
) -> None:
    for piece, samples, rate in decoded:
        assert samples.shape == (int(PIECE_S * rate), 2), piece.title
        assert pyloudnorm.Meter(rate).integrated_loudness(samples) == pytest.approx(-18.0, abs=0.5), piece.title
        assert np.abs(samples).max() < 10.0 ** (-2.0 / 20.0), piece.title
        assert np.abs(samples.mean(axis=0)).max() < 1e-3, piece.title
        crest_db = 20.0 * np.log10(np.abs(samples).max() / samples.std())
        assert 9.0 < crest_db < 20.0, piece.title


def test_true_peaks_of_the_hottest_files_stay_under_minus_one_db(decoded: list[tuple[Piece, np.ndarray, int]]) -> None:
    hottest = sorted(decoded, key=lambda entry: -float(np.abs(entry[1]).max()))[:4]
    for piece, samples, _ in hottest:
        assert np.abs(signal.resample_poly(samples, 4, 1, axis=0)).max() < 10.0 ** (-1.0 / 20.0), piece.title


def test_every_second_may_be_entered(decoded: list[tuple[Piece, np.ndarray, int]]) -> None:
    for piece, samples, rate in decoded:
        mono = samples.mean(axis=1)
        blocks = mono[: len(mono) // (rate // 10) * (rate // 10)].reshape(-1, rate // 10)
        level_db = 10.0 * np.log10((blocks * blocks).mean(axis=1) + 1e-12)
        # up to the last chord's fade no tenth of a second falls silent, so no silence lasts 0.8 s
        assert level_db[:415].min() > np.median(level_db) - 25.0, piece.title
        windows = [level_db[start : start + 100].mean() for start in range(0, 301, 50)]
        assert max(windows) - min(windows) < 4.0, piece.title
        assert np.abs(samples[:10]).max() < 0.02, piece.title
        assert np.abs(samples[-10:]).max() < 0.01, piece.title


def test_nothing_clicks(decoded: list[tuple[Piece, np.ndarray, int]]) -> None:
    for piece, samples, _ in decoded:
        # a click is one step far out of proportion to the music's own
        steps = np.abs(np.diff(samples[:, 0]))
        assert steps.max() < 0.3, piece.title
        assert steps.max() < 60.0 * steps.mean(), piece.title


def test_both_sides_sound_and_survive_mono(decoded: list[tuple[Piece, np.ndarray, int]]) -> None:
    for piece, samples, _ in decoded:
        left, right = (samples * samples).mean(axis=0)
        assert abs(10.0 * np.log10(left / right)) < 4.0, piece.title
        assert 0.05 < np.corrcoef(samples.T)[0, 1] < 0.95, piece.title


def test_brightness_is_heard_to_follow_arousal_and_the_mode_valence(
    decoded: list[tuple[Piece, np.ndarray, int]],
) -> None:
    centroids = []
    for piece, samples, rate in decoded:
        hz, _, transform = signal.stft(samples[: 40 * rate].mean(axis=1), rate, nperseg=8192, noverlap=2048)
        magnitude = np.abs(transform).mean(axis=1)
        centroids.append((hz * magnitude).sum() / magnitude.sum())
        tonal = (hz > 60.0) & (hz < 1000.0)
        classes = np.round(69 + 12 * np.log2(hz[tonal] / 440.0)).astype(int) - piece.tonic
        chroma = np.bincount(classes % 12, magnitude[tonal], minlength=12)
        major = np.corrcoef(chroma, KRUMHANSL_MAJOR)[0, 1]
        minor = np.corrcoef(chroma, KRUMHANSL_MINOR)[0, 1]
        assert (major > minor) == (MODES_FROM_HAPPIEST.index(mode(piece.affect)) < 2), piece.title
    assert spearmanr(centroids, [piece.arousal_sd for piece in PIECES]).statistic > 0.85


def test_an_altered_missing_or_outdated_file_is_noticed(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = shutil.copytree(folder, tmp_path / "starter-music")
    assert is_whole(target)
    piece = target / PIECES[0].file_name
    content = piece.read_bytes()
    piece.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert not is_whole(target)
    piece.unlink()
    assert not is_whole(target)
    piece.write_bytes(content)
    assert is_whole(target)
    with monkeypatch.context() as patch:
        patch.setattr(make, "STARTER_VERSION", make.STARTER_VERSION + 1)
        assert not is_whole(target)
    (target / STARTER_INDEX_NAME).write_bytes(b"no index")
    assert not is_whole(target)


def test_a_folder_that_is_not_whole_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "PIECES", PIECES[:1])
    target = tmp_path / "starter-music"
    target.mkdir()
    (target / "stale.ogg").write_bytes(b"old")
    told: list[tuple[int, int]] = []
    assert ensure_starter_music(target, lambda done, total: told.append((done, total))) == target / STARTER_INDEX_NAME
    assert told == [(0, 1), (1, 1)]
    assert is_whole(target)
    assert {path.name for path in target.iterdir()} == {PIECES[0].file_name, STARTER_INDEX_NAME}


def test_a_failure_half_way_leaves_the_old_folder_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make, "PIECES", PIECES[:2])
    target = tmp_path / "starter-music"
    target.mkdir()
    (target / "old.ogg").write_bytes(b"old")

    def stop(done: int, total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure_starter_music(target, stop)
    assert [path.name for path in tmp_path.iterdir()] == ["starter-music"]
    assert [path.name for path in target.iterdir()] == ["old.ogg"]


def test_a_caller_whose_main_module_cannot_be_imported_again_still_gets_its_music(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from emomusic_edge.deam_index.starter_music.make import make_pieces\n"
        "from emomusic_edge.deam_index.starter_music.plan import PIECES\n"
        f"make_pieces(PIECES[:1], Path({str(tmp_path)!r}), lambda done, total: None)\n"
    )
    # a program on standard input has no file that a spawned worker could import
    subprocess.run([sys.executable, "-"], input=program, text=True, check=True, capture_output=True, timeout=120)
    assert (tmp_path / PIECES[0].file_name).stat().st_size > 100_000


def test_two_runs_give_the_same_samples(folder: Path, tmp_path: Path) -> None:
    make.make_piece(PIECES[4], str(tmp_path))
    again, _ = soundfile.read(tmp_path / PIECES[4].file_name, dtype="float32")
    first, _ = soundfile.read(folder / PIECES[4].file_name, dtype="float32")
    assert rendering.checksum(again) == rendering.checksum(first)


@pytest.mark.parametrize("package", ["soundfile", "pyloudnorm"])
def test_a_missing_package_is_named_with_what_installs_it(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=package) as caught:
        ensure_starter_music(tmp_path / "starter-music")
    assert caught.value.mend == "pip install 'emomusic-edge[starter]'"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(AudioError, match="cannot be written"):
        ensure_starter_music(tmp_path / "file" / "starter-music")
    with pytest.raises(AudioError, match="OGG"):
        audio_file.write_ogg(tmp_path / "absent" / "piece.ogg", np.zeros((10, 2), np.float32), 44_100)
