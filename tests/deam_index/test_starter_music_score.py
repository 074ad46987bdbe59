"""The plan covers the plane, and the scores are the music that the cues ask for."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from emomusic_edge.affect import DEAM
from emomusic_edge.deam_index.starter_music.composition import compose, length_s, onset_density
from emomusic_edge.deam_index.starter_music.harmony import PROGRESSIONS, SCALES, voice, write_chords
from emomusic_edge.deam_index.starter_music.plan import PIECE_S, PIECES, Piece
from emomusic_edge.deam_index.starter_music.score import Note, Score

# Krumhansl & Kessler, "Tracing the dynamic changes in perceived tonal organization in a spatial representation of
# musical keys", Psychological Review 89(4), 1982: how well listeners find each pitch class to fit a key.
KRUMHANSL_MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
KRUMHANSL_MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)

each_piece = pytest.mark.parametrize("piece", PIECES, ids=lambda piece: piece.song_id)


def melody(score: Score) -> tuple[Note, ...]:
    return next(part.notes for part in score.parts if part.role == "melody")


def test_the_plan_covers_all_quadrants_and_the_calm_positive_best() -> None:
    quadrants = {(v, a): 0 for v in (False, True) for a in (False, True)}
    for piece in PIECES:
        quadrants[piece.valence_sd > 0, piece.arousal_sd > 0] += 1
    assert len(PIECES) >= 24
    assert min(quadrants.values()) >= 5
    assert sum(piece.valence_sd > 0.5 and piece.arousal_sd < -0.5 for piece in PIECES) >= 5


@given(st.floats(-1.9, 1.5), st.floats(-1.8, 1.95))
def test_wherever_a_standardised_feeling_can_point_a_piece_is_near(valence_sd: float, arousal_sd: float) -> None:
    # FindingEmo's bounds in its standard deviations: what `standardise` can ask for
    assert min(math.hypot(p.valence_sd - valence_sd, p.arousal_sd - arousal_sd) for p in PIECES) < 0.85


def test_the_pieces_lie_within_the_scale_and_within_what_deam_populates() -> None:
    assert all(DEAM.contains(piece.affect) for piece in PIECES)
    assert all(math.hypot(piece.valence_sd, piece.arousal_sd) < 2.6 for piece in PIECES)


def test_no_two_pieces_share_a_name_a_place_or_their_make_up() -> None:
    assert len({piece.title for piece in PIECES}) == len({piece.file_name for piece in PIECES}) == len(PIECES)
    assert len({(piece.tonic, piece.ensemble) for piece in PIECES}) == len(PIECES)
    assert len({piece.tonic for piece in PIECES}) == 12
    assert {piece.beats_per_bar for piece in PIECES} == {3, 4}
    assert len({piece.ensemble for piece in PIECES}) >= 12
    for one, other in itertools.combinations(PIECES, 2):
        near = math.hypot(one.valence_sd - other.valence_sd, one.arousal_sd - other.arousal_sd) < 0.8
        assert not (near and one.tonic == other.tonic), (one.title, other.title)


@each_piece
def test_a_piece_is_written_the_same_each_time_and_differently_in_another_version(piece: Piece) -> None:
    assert compose(piece, 1) == compose(piece, 1)
    assert compose(piece, 1).parts != compose(piece, 2).parts


@each_piece
def test_the_tempo_is_the_cues_within_a_few_per_cent_and_the_last_chord_rings(piece: Piece) -> None:
    score = compose(piece, 1)
    assert score.tempo_bpm == pytest.approx(score.cues.tempo_bpm, rel=0.05)
    assert 39.9 <= length_s(score) <= 42.1
    for part in score.parts:
        assert all(n.beat >= 0.0 and n.beats > 0.0 and 0.0 < n.velocity <= 1.0 for n in part.notes)
        assert max(n.beat for n in part.notes) * 60.0 / score.tempo_bpm < PIECE_S - 2.0


@each_piece
def test_every_pitched_note_belongs_to_the_scale(piece: Piece) -> None:
    score = compose(piece, 1)
    scale = {(score.tonic + step) % 12 for step in SCALES[score.mode]}
    for part in score.parts:
        if part.role != "percussion":
            assert {n.midi % 12 for n in part.notes} <= scale, part.instrument


@each_piece
def test_the_notes_are_heard_in_the_mode_that_the_valence_asks_for(piece: Piece) -> None:
    score = compose(piece, 1)
    weight = np.zeros(12)
    for part in score.parts:
        if part.role != "percussion":
            for note in part.notes:
                weight[(note.midi - score.tonic) % 12] += note.beats * note.velocity
    major = np.corrcoef(weight, KRUMHANSL_MAJOR)[0, 1]
    minor = np.corrcoef(weight, KRUMHANSL_MINOR)[0, 1]
    assert (major > minor) == (score.cues.mode in ("ionian", "mixolydian"))
    assert max(major, minor) > 0.6


@each_piece
def test_the_melody_can_be_sung(piece: Piece) -> None:
    score = compose(piece, 1)
    notes = melody(score)
    leaps = np.abs(np.diff([n.midi for n in notes]))
    assert len(notes) >= 8
    assert all(abs(n.midi - score.cues.register_midi) <= 12 for n in notes)
    assert (leaps > 7).mean() < 0.3
    assert (leaps == 0).mean() < 0.4
    assert notes[-1].midi % 12 == score.tonic


@each_piece
def test_the_melody_comes_back_to_its_motif(piece: Piece) -> None:
    score = compose(piece, 1)
    rhythms = [
        tuple(n.beat - bar * score.beats_per_bar for n in melody(score) if int(n.beat // score.beats_per_bar) == bar)
        for bar in range(score.bars)
    ]
    heard = [rhythm for rhythm in rhythms if rhythm]
    # a handful of one-bar rhythms make the whole tune
    assert len(set(heard)) <= 4
    assert max(heard.count(rhythm) for rhythm in heard) >= 2


def test_note_density_follows_the_plan() -> None:
    scores = [compose(piece, 1) for piece in PIECES]
    wanted = np.array([score.cues.onsets_per_s for score in scores])
    found = np.array([onset_density(score) for score in scores])
    assert spearmanr(wanted, found).statistic > 0.9
    assert np.all(np.abs(np.log2(found / wanted)) < 0.65)


@settings(max_examples=60, deadline=None)
@given(
    tonic=st.integers(0, 11),
    mode=st.sampled_from(sorted(SCALES)),
    which=st.integers(0, 4),
    dissonance=st.floats(0.0, 1.0),
)
def test_chords_are_led_by_small_steps(tonic: int, mode: str, which: int, dissonance: float) -> None:
    degrees = [*PROGRESSIONS[mode][which] * 2, 0]
    chords = write_chords(tonic, mode, degrees, 4.0, 6.0, dissonance, 61.0, np.random.default_rng(0))
    for one, other in itertools.pairwise(chords):
        moves = [min(abs(note - before) for before in one.voicing) for note in other.voicing]
        assert max(moves) <= 7
        assert np.mean(moves) <= 4.0
    for chord in chords:
        assert set(chord.tones) <= {note % 12 for note in chord.voicing}
        assert chord.bass % 12 == chord.root
        assert chord.bass < min(chord.voicing) + 1
    assert chords[-1].beats == 6.0


@given(st.sets(st.integers(0, 11), min_size=3, max_size=5))
def test_a_voicing_holds_each_pitch_class_once_in_order(pitch_classes: set[int]) -> None:
    notes = voice(sorted(pitch_classes), (), 61.0)
    assert sorted(note % 12 for note in notes) == sorted(pitch_classes)
    assert list(notes) == sorted(notes)


def test_dissonance_adds_colours_only_where_it_is_asked_for() -> None:
    def rubs(amount: float) -> int:
        chords = write_chords(4, "phrygian", [0, 1, 0, 6, 0], 4.0, 4.0, amount, 61.0, np.random.default_rng(0))
        pairs = [itertools.combinations({n % 12 for n in chord.voicing}, 2) for chord in chords]
        return sum((a - b) % 12 in (1, 11) for pair in pairs for a, b in pair)

    assert rubs(0.05) == 0
    assert rubs(1.0) >= 3
