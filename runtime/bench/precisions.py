"""The same model in other precisions: bundles that lie beside one another and are named as the export names them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal, get_args

from emomusic_edge.errors import ConfigError
from emomusic_edge.manifest import MANIFEST_NAME, read_manifest

from .cases import Wanted

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


def in_each_precision(wanted: Sequence[Wanted], asked: Sequence[Precision]) -> tuple[list[Wanted], list[str]]:
    """Put beside each bundle the same model in the other precisions.

    `face-model` is followed by `face-model-fp16` and `face-model-int8` where they lie in the same folder, look at the
    same thing and are of that precision. A name that says its precision stays alone.

    Args:
        wanted: what the line or the config names.
        asked: these precisions and no others, whatever the names say; none: each that is there.

    Returns:
        What to measure, and which bundles are not there in a precision that was asked for.

    Raises:
        ConfigError: none is there in a precision that was asked for.
        ModelError: a bundle has no manifest that can be read.
    """
    found: list[Wanted] = []
    absent: list[str] = []
    for want in wanted:
        manifest = read_manifest(want.folder)
        own = manifest.precision
        stem = want.folder.name.removesuffix(f"-{own}")
        for precision in asked or (PRECISIONS if own == "fp32" else (own,)):
            if precision == own:
                found.append(want)
                continue
            folder = want.folder.with_name(stem if precision == "fp32" else f"{stem}-{precision}")
            if (folder / MANIFEST_NAME).is_file():
                other = read_manifest(folder)
                if (other.precision, other.kind, other.source) == (precision, manifest.kind, manifest.source):
                    found.append(replace(want, folder=folder))
                    continue
            if asked:
                absent.append(f"{stem} in {precision}: no such bundle lies beside it")
    if not found:
        raise ConfigError(
            f"Nothing to measure: {'; '.join(absent)}.",
            mend=f"Export it so: --precision {asked[0]}" if asked else "Name a bundle.",
        )
    return list(dict.fromkeys(found)), absent
