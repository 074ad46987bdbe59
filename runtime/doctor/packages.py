"""Python, and whether the packages that the base needs are here in a version that it can use."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence

from emomusic_edge import __version__
from emomusic_edge.own_source import requirement

from .finding import About, Finding
from .setup import Setup

DISTRIBUTION = "emomusic-edge"
_OLDEST, _NEWEST = (3, 10), (3, 13)
_ONE_BOUND = re.compile(r"(>=|<)\s*([0-9][0-9.]*)")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$")
_PYTHON_BELOW = re.compile(r"""python_version\s*<\s*["'](\d+)\.(\d+)["']""")

Version = Callable[[str], str | None]

_about = About("python")


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution; None without it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def install_line() -> str:
    """The command that brings what the base needs into this environment."""
    return f"{sys.executable} -m pip install --upgrade {shlex.quote(requirement())}"


def look(
    setup: Setup,
    *,
    python: tuple[int, int] = sys.version_info[:2],
    requirements: Sequence[str] | None = None,
    version_of: Version = installed_version,
) -> Iterator[Finding]:
    """Python's version, and what of the base's requirements is missing or of a version that does not do.

    Args:
        setup: not asked; Python is the same for all settings.
        python: major and minor.
        requirements: as the distribution's metadata has them; None reads them.
        version_of: the version of an installed distribution.
    """
    told = f"Python {platform.python_version()} in {sys.prefix}"
    if _OLDEST <= python <= _NEWEST:
        yield _about.ok("python", told, version=platform.python_version(), prefix=sys.prefix)
    else:
        yield _about.warning(
            "python",
            f"Python {python[0]}.{python[1]}",
            meaning="3.10 to 3.13 are the versions it is tested with.",
            mend="Make the environment with one of them: python3.12 -m venv .venv",
            version=f"{python[0]}.{python[1]}",
        )
    needs = _requirements() if requirements is None else requirements
    if not needs:
        yield _about.warning(
            "packages",
            f"emomusic-edge {__version__} runs from a folder; it is not installed",
            meaning="Which packages it needs cannot be told from its metadata.",
            mend="pip install . (in that folder)",
        )
        return
    missing, unfit = _faults(needs, python, version_of)
    if missing or unfit:
        yield _about.problem(
            "packages",
            "; ".join([*([f"missing: {', '.join(missing)}"] if missing else []), *unfit]),
            meaning="A run may break off at its first use.",
            mend=install_line(),
            missing=missing,
        )
    else:
        yield _about.ok(
            "packages", f"emomusic-edge {__version__} and the {len(needs)} packages it needs", version=__version__
        )


def _requirements() -> list[str]:
    try:
        found = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return []
    return [requirement for requirement in found if "extra ==" not in requirement]


def _faults(needs: Sequence[str], python: tuple[int, int], version_of: Version) -> tuple[list[str], list[str]]:
    """The names that are missing, and what is wrong with the versions of others."""
    missing: list[str] = []
    unfit: list[str] = []
    for need in needs:
        parts = _REQUIREMENT.match(need.strip())
        if parts is None:
            continue
        name, bounds, marker = parts[1], parts[2].strip(), parts[3] or ""
        older = _PYTHON_BELOW.search(marker)
        if older is not None and python >= (int(older[1]), int(older[2])):
            continue
        version = _version_of(name, version_of)
        if version is None:
            missing.append(name)
        elif not fits(version, bounds):
            unfit.append(f"{name} is {version}, needed is {bounds.replace(',', ', ')}")
    return missing, unfit


def _version_of(name: str, version_of: Version) -> str | None:
    """Builds of ONNX Runtime for a GPU bring the same module under another name."""
    others = ("onnxruntime-gpu",) if name == "onnxruntime" else ()
    return next((found for each in (name, *others) if (found := version_of(each)) is not None), None)


def fits(version: str, bounds: str) -> bool:
    """Whether a version keeps bounds like `>=1.23.2,<1.29`; other kinds of bounds are not looked at."""
    own = _numbers(version)
    return all(
        own >= _numbers(limit) if sign == ">=" else own < _numbers(limit) for sign, limit in _ONE_BOUND.findall(bounds)
    )


def _numbers(version: str) -> tuple[int, ...]:
    """`1.23.2.post1` as (1, 23, 2); a trailing zero counts not."""
    numbers = [int(number) for number in re.findall(r"\d+", re.match(r"[\d.]*", version)[0])]  # type: ignore[index]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
