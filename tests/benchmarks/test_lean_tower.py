"""Each way of writing the tower gives the same features, so that their times can be held against each other."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.lean_tower import WAYS, former  # noqa: E402
from emomusic_edge.export.network.clip_tower import ClipTower, ClipTowerSizes  # noqa: E402


@pytest.mark.parametrize("way", WAYS)
def test_every_way_gives_the_features_of_the_former(way: str) -> None:
    torch.manual_seed(2)
    tower = ClipTower(ClipTowerSizes(64, 32, 128, 2, 256, 512)).eval()
    picture = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted, found = former(tower, picture), WAYS[way](tower, picture)
    assert wanted.std() > 0
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
