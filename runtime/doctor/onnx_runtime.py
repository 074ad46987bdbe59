"""Which ONNX Runtime is truly loaded, whether two lie over each other, and whether its telemetry is off."""

from __future__ import annotations

import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from emomusic_edge.errors import EmomusicError

from .finding import About, Finding
from .packages import DISTRIBUTION, fits
from .setup import Setup

TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"
# As in the metadata of the package: from 1.29 on the wheels send telemetry by default.
_WITHOUT_TELEMETRY = "<1.29"
_CPU = "CPUExecutionProvider"

_about = About("onnxruntime")


def providing_distributions() -> dict[str, str]:
    """The versions of the installed distributions that bring the module `onnxruntime`, by name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        name = (distribution.metadata["Name"] or "").lower().replace("_", "-")
        # Several tools for it begin likewise and bring modules of other names.
        if name.startswith(("onnxruntime", "ort-nightly")) and _brings_it(distribution):
            found[name] = distribution.version
    return found


def _brings_it(distribution: importlib.metadata.Distribution) -> bool:
    files = distribution.files
    return files is None or any(file.parts[:2] == ("onnxruntime", "__init__.py") for file in files)


def import_onnxruntime() -> Any:
    """The module.

    Raises:
        ImportError: it is not here, or a library that it needs is not.
    """
    import onnxruntime

    return onnxruntime


def look(
    setup: Setup,
    *,
    distributions: Callable[[], Mapping[str, str]] = providing_distributions,
    load: Callable[[], Any] = import_onnxruntime,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Finding]:
    """What is installed, what is loaded, what it could run on, and whether it keeps quiet.

    Args:
        setup: the engine that is wished for.
        distributions: what brings the module, by name with its version.
        load: gives the module.
        environ: of this process, as ONNX Runtime read it at its import.
    """
    installed = dict(distributions())
    if len(installed) > 1:
        yield _two(installed)
    try:
        ort = load()
    except (ImportError, OSError, EmomusicError) as error:
        yield _about.problem(
            "loaded",
            f"ONNX Runtime does not load: {error}",
            meaning="No model runs.",
            mend=f"{sys.executable} -m pip install --force-reinstall 'onnxruntime>=1.23.2,<1.29'",
        )
        return
    version, path = str(ort.__version__), str(getattr(ort, "__file__", ""))
    offered = [str(name) for name in ort.get_available_providers()]
    yield _about.ok(
        "loaded",
        f"ONNX Runtime {version} of {' and '.join(installed) or 'an unknown package'}, in {Path(path).parent}",
        version=version,
        path=path,
        distributions=[f"{name} {number}" for name, number in installed.items()],
    )
    yield from _providers(setup, offered)
    yield _telemetry(version, environ)


def _two(installed: Mapping[str, str]) -> Finding:
    names = sorted(installed)
    # Who installed another build beside the usual one wanted that one.
    wanted = next((name for name in names if name != "onnxruntime"), names[0])
    keep = f"'{wanted}=={installed[wanted]}'"
    return _about.problem(
        "distributions",
        " and ".join(f"{name} {installed[name]}" for name in names) + " are installed at once",
        meaning="They share one folder: the later one has overwritten parts of the other, and which runs is chance.",
        mend=f"{sys.executable} -m pip uninstall --yes {' '.join(names)} && {sys.executable} -m pip install {keep}",
        distributions=names,
    )


def _providers(setup: Setup, offered: list[str]) -> Iterable[Finding]:
    told = ", ".join(name.removesuffix("ExecutionProvider") for name in offered)
    if setup.settings.models.engine == "cuda" and "CUDAExecutionProvider" not in offered:
        yield _about.warning(
            "providers",
            f"it was built for {told}, and models.engine asks for cuda",
            meaning="The models run on the processor.",
            mend='docs/jetson.md says which build has CUDA; or set models.engine = "cpu"',
            providers=offered,
        )
    else:
        yield _about.ok(
            "providers", f"it was built for {told}; what truly runs each model stands under Models", providers=offered
        )


def _telemetry(version: str, environ: Mapping[str, str]) -> Finding:
    off = environ.get(TELEMETRY_SWITCH) == "1"
    quiet = fits(version, _WITHOUT_TELEMETRY)
    if not off:
        return _about.problem(
            "telemetry",
            f"{TELEMETRY_SWITCH} was not 1 when it was loaded",
            meaning="Something loaded ONNX Runtime before this program could switch its telemetry off."
            + ("" if quiet else " This version then sends usage data to its maker."),
            mend=f"Set {TELEMETRY_SWITCH}=1 in the environment before the program starts",
            off=off,
        )
    if not quiet:
        return _about.warning(
            "telemetry",
            f"telemetry is switched off, but {version} is one of the versions that have it on by default",
            meaning="Only the switch keeps it quiet; other programs of this environment do not set it.",
            mend=f"{sys.executable} -m pip install --upgrade {DISTRIBUTION} 'onnxruntime<1.29'",
            off=off,
        )
    return _about.ok(
        "telemetry", f"telemetry is off ({TELEMETRY_SWITCH}=1, and {version} sends none by default)", off=off
    )
