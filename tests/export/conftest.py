"""Small networks and real pictures that the tests of the export share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from small_networks import Small, small_network

if TYPE_CHECKING:
    from emomusic_edge.export.pictures import PictureSets


@pytest.fixture(scope="session")
def small_scene(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """A two-layer CLIP tower at 64 px."""
    return small_network("scene", tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="session")
def small_face(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """ResNet-18 at 64 px."""
    return small_network("face", tmp_path_factory.mktemp("face"))


@pytest.fixture(scope="session")
def scenes() -> PictureSets:
    """Real photographs and frames."""
    from emomusic_edge.export.pictures import default_pictures
    from emomusic_edge.paths import default_cache_dir

    return default_pictures("scene", default_cache_dir(), 0.2)


@pytest.fixture(scope="session")
def faces() -> PictureSets:
    """Real faces."""
    from emomusic_edge.export.pictures import default_pictures
    from emomusic_edge.paths import default_cache_dir

    return default_pictures("face", default_cache_dir(), 0.2)
