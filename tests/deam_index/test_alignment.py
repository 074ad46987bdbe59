"""The maps from people's affect to that of music."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_index import sample_index
from sklearn.neighbors import KDTree

from emomusic_edge.affect import DEAM, FINDINGEMO
from emomusic_edge.config.settings import MusicSettings
from emomusic_edge.contracts import ValenceArousal
from emomusic_edge.deam_index import alignment as alignment_module
from emomusic_edge.deam_index.alignment import Alignment, AlignmentMethod
from emomusic_edge.deam_index.audio_files import AudioRoots
from emomusic_edge.deam_index.build import reference_of
from emomusic_edge.deam_index.index_file import read_index
from emomusic_edge.deam_index.merge import Part, merge
from emomusic_edge.paths import packaged_deam_index

METHODS = list(AlignmentMethod)
DEAM_INDEX = read_index(packaged_deam_index())

wide = st.floats(-20, 20)
valences = st.floats(-3, 3)
arousals = st.floats(0, 6)


@pytest.fixture(scope="module", params=METHODS, ids=lambda method: method.value)
def alignment(request: pytest.FixtureRequest) -> Alignment:
    return Alignment(DEAM_INDEX, request.param)


def test_the_default_is_that_of_the_settings() -> None:
    assert Alignment(DEAM_INDEX).method is AlignmentMethod(MusicSettings().alignment) is AlignmentMethod.QUANTILE


def test_standardise_maps_mean_to_mean_and_sd_to_sd() -> None:
    to_music = Alignment(DEAM_INDEX, AlignmentMethod.STANDARDISE).to_music
    assert to_music(FINDINGEMO.mean) == pytest.approx(DEAM.mean, abs=5e-4)
    above = ValenceArousal(*np.add(FINDINGEMO.mean, FINDINGEMO.sd))
    assert to_music(above) == pytest.approx(np.add(DEAM.mean, DEAM.sd), abs=1e-3)


def test_standardise_uses_the_statistics_of_its_index() -> None:
    index = sample_index(reference_mean=ValenceArousal(-0.2, 0.4), reference_sd=ValenceArousal(0.5, 0.1))
    below = ValenceArousal(*np.subtract(FINDINGEMO.mean, FINDINGEMO.sd))
    assert Alignment(index, AlignmentMethod.STANDARDISE).to_music(below) == pytest.approx((-0.7, 0.3))


@pytest.mark.parametrize(
    ("person", "music"),
    [
        ((-3, 0), (-1, -1)),
        ((3, 6), (1, 1)),
        ((0, 3), (0, 0)),
        ((1.5, 4.5), (0.5, 0.5)),
        ((-0.75, 0.75), (-0.25, -0.75)),
    ],
)
def test_linear_maps_bounds_to_bounds(person: tuple[float, float], music: tuple[float, float]) -> None:
    assert Alignment(DEAM_INDEX, AlignmentMethod.LINEAR).to_music(ValenceArousal(*person)) == pytest.approx(music)


def test_quantile_maps_rank_to_rank() -> None:
    # quantiles that are the ranks themselves, so that the map shows the ranks of the ratings
    ranks = np.linspace(0, 1, 1001, dtype=np.float32)
    index = sample_index(reference_quantiles=np.column_stack([ranks, ranks]))
    to_music = Alignment(index, AlignmentMethod.QUANTILE).to_music
    n = 25_869
    assert to_music(ValenceArousal(-3, 0)) == pytest.approx((1870 / 2 / n, 1412 / 2 / n), abs=1e-6)
    below_0 = 1870 + 3029 + 3570
    below_2 = 1412 + 4577
    assert to_music(ValenceArousal(0, 2)) == pytest.approx(
        ((below_0 + 3403 / 2) / n, (below_2 + 5397 / 2) / n), abs=1e-6
    )
    assert to_music(ValenceArousal(3, 6)) == pytest.approx((1 - 3052 / 2 / n, 1 - 1801 / 2 / n), abs=1e-6)


def test_quantile_agrees_with_the_documented_statistics() -> None:
    """The counts it rests on have the mean and sd that affect.FINDINGEMO states."""
    for axis, counts in enumerate((alignment_module._VALENCE_COUNTS, alignment_module._AROUSAL_COUNTS)):
        ratings = np.repeat(np.arange(7) + FINDINGEMO.low[axis], counts)
        assert len(ratings) == 25_869
        assert ratings.mean() == pytest.approx(FINDINGEMO.mean[axis], abs=0.006)
        assert ratings.std() == pytest.approx(FINDINGEMO.sd[axis], abs=0.006)


@settings(deadline=None)
@given(st.floats(-3, 3), st.floats(0, 6))
def test_a_place_of_music_is_shown_where_the_feeling_is_that_leads_there(
    alignment: Alignment, valence: float, arousal: float
) -> None:
    sought = alignment.to_music(ValenceArousal(valence, arousal))
    shown = alignment.to_felt(sought)
    assert FINDINGEMO.contains(shown)
    assert alignment.to_music(shown) == pytest.approx(sought, abs=1e-9)


@pytest.mark.parametrize(("mean", "sd"), [(5.4, 1.7), (7.0, 1.3)])
def test_quantile_climbs_evenly_over_coarse_ratings(mean: float, sd: float) -> None:
    """Whole ratings from 1 to 9: no stairs, in one index or in two that were merged."""
    ratings = np.clip(np.round(np.random.default_rng(1).normal(mean, sd, (600, 2))), 1, 9) / 4 - 1.25
    reference_mean, reference_sd, quantiles = reference_of(ratings)
    index = sample_index(reference_mean=reference_mean, reference_sd=reference_sd, reference_quantiles=quantiles)
    parts = [Part(name, index, AudioRoots(Path("/nowhere"))) for name in ("a", "b")]
    merged = merge(parts).index
    np.testing.assert_allclose(merged.reference_quantiles, quantiles, atol=1e-6)
    for of in (index, merged):
        ours, plain = (Alignment(of, method) for method in (AlignmentMethod.QUANTILE, AlignmentMethod.STANDARDISE))
        felt = [ValenceArousal(step / 100 - 3, step / 100) for step in range(601)]
        found = np.array([ours.to_music(point) for point in felt])
        slopes = np.diff(found, axis=0)
        even = np.array(reference_sd) / FINDINGEMO.sd / 100
        assert (slopes.max(axis=0) < 5 * even).all()
        assert (slopes[100:500].min(axis=0) > even / 5).all()
        assert np.abs(found - [plain.to_music(point) for point in felt]).max() < 0.25
        back = np.array([ours.to_music(ours.to_felt(ValenceArousal(*point))) for point in found])
        np.testing.assert_allclose(back, found, atol=1e-9)
        at = np.array([ours.to_felt(ValenceArousal(*point)) for point in found[100:500]])
        np.testing.assert_allclose(at, felt[100:500], atol=1e-6)


@settings(deadline=None)
@given(wide, wide)
def test_every_point_lands_within_bounds(alignment: Alignment, valence: float, arousal: float) -> None:
    assert DEAM.contains(alignment.to_music(ValenceArousal(valence, arousal)))


@settings(deadline=None)
@given(wide, wide)
def test_beyond_the_bounds_is_on_them(alignment: Alignment, valence: float, arousal: float) -> None:
    point = ValenceArousal(valence, arousal)
    assert alignment.to_music(point) == alignment.to_music(FINDINGEMO.clip(point))


@settings(deadline=None)
@given(valences, valences, arousals, arousals)
def test_more_is_never_mapped_to_less(alignment: Alignment, v1: float, v2: float, a1: float, a2: float) -> None:
    low = alignment.to_music(ValenceArousal(min(v1, v2), min(a1, a2)))
    high = alignment.to_music(ValenceArousal(max(v1, v2), max(a1, a2)))
    assert low.valence <= high.valence
    assert low.arousal <= high.arousal


@settings(deadline=None)
@given(valences, arousals, arousals)
def test_the_axes_do_not_mix(alignment: Alignment, valence: float, a1: float, a2: float) -> None:
    one = alignment.to_music(ValenceArousal(valence, a1))
    other = alignment.to_music(ValenceArousal(valence, a2))
    assert one.valence == other.valence


def test_the_default_spreads_over_the_songs_where_linear_does_not() -> None:
    """Effective songs (exp of the entropy) over queries as spread as FindingEmo's ratings."""
    generator = np.random.default_rng(1)
    ratings = [
        np.repeat(np.arange(7) + low, counts)
        for low, counts in ((-3, alignment_module._VALENCE_COUNTS), (0, alignment_module._AROUSAL_COUNTS))
    ]
    queries = np.column_stack([generator.choice(axis, 2000) for axis in ratings]) + generator.normal(0, 0.3, (2000, 2))
    tree = KDTree(DEAM_INDEX.points)

    def effective_songs(method: AlignmentMethod) -> float:
        to_music = Alignment(DEAM_INDEX, method).to_music
        rows = tree.query([to_music(ValenceArousal(*query)) for query in queries], return_distance=False)
        share = np.unique(DEAM_INDEX.song[rows[:, 0]], return_counts=True)[1] / len(queries)
        return float(np.exp(-(share * np.log(share)).sum()))

    linear = effective_songs(AlignmentMethod.LINEAR)
    assert effective_songs(AlignmentMethod.STANDARDISE) > 3 * linear
    assert effective_songs(AlignmentMethod.QUANTILE) > 3 * linear
