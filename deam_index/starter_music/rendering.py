"""From a score to sound: each note's tone and envelope, humanised time, place between the speakers, room."""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import get_args

import numpy as np
from scipy import signal

from .drum_tones import DRUMS
from .held_tones import LOOP_SAMPLES, SECTIONS, WINDS, ensemble_loop, wind
from .plan import PIECE_S
from .reverb import add_room
from .score import Instrument, Note, Part, Role, Score
from .struck_tones import SAMPLE_RATE_HZ, STRUCK, Samples

PIECE_SAMPLES = int(PIECE_S * SAMPLE_RATE_HZ)

# Silence before the first beat, so that a note played early is not cut.
_LEAD_IN_S = 0.04
# How loud each role stands in the mix, as the root mean square of what sounds of it, in dB below the melody.
_ROLE_DB: dict[Role, float] = {
    "melody": -1.0,
    "second": -4.0,
    "accompaniment": -3.5,
    "pad": -5.5,
    "bass": -5.0,
    "percussion": 0.0,
}
_DRUM_DB: dict[str, float] = {"kick": -4.0, "tom": -7.0, "shaker": -17.0, "brush": -13.0, "rim": -14.0}
# How long a note rings on after it is let go, in seconds.
_RELEASE_S: dict[Instrument, float] = {
    "felt_piano": 0.35,
    "electric_piano": 0.3,
    "harp": 1.2,
    "nylon": 0.35,
    "vibraphone": 0.9,
    "kalimba": 0.8,
    "celesta": 0.8,
    "marimba": 0.5,
    "round_bass": 0.15,
    "flute": 0.14,
    "reed": 0.12,
    "spiccato": 0.25,
}
# Standard deviation of a player's timing: trained players keep within about ten milliseconds.
_TIMING_S = 0.006
_TOUCHES = 4


def render(score: Score) -> Samples:
    """Play a score: float32 [PIECE_SAMPLES, 2], not yet levelled; deterministic by the score's seed."""
    players = np.random.default_rng((*score.seed, 1))
    dry = np.zeros((PIECE_SAMPLES, 2), dtype=np.float32)
    room = np.zeros_like(dry)
    stem = np.empty_like(dry)
    for part in score.parts:
        if not part.notes:
            continue
        stem.fill(0.0)
        _play(part, score, players, stem)
        if part.echo:
            _echo(stem, score)
        stem *= np.float32(_gain(stem, part))
        dry += stem
        stem *= np.float32(part.room)
        room += stem
    add_room(dry, room, score.cues.reverb_s, np.random.default_rng((*score.seed, 2)))
    return _rolled_off(dry, score.cues.brightness_hz)


def _play(part: Part, score: Score, players: np.random.Generator, stem: Samples) -> None:
    tones: dict[tuple[int, int], Samples] = {}
    beat_s = 60.0 / score.tempo_bpm
    for note in part.notes:
        start_s = _LEAD_IN_S + note.beat * beat_s
        if part.instrument not in SECTIONS:
            start_s += float(np.clip(players.normal(0.0, _TIMING_S), -2.5 * _TIMING_S, 2.5 * _TIMING_S))
        start = max(0, int(start_s * SAMPLE_RATE_HZ))
        sound = _note(part.instrument, note, note.beats * beat_s, score, tones, players)
        sound = sound[: PIECE_SAMPLES - start]
        level = np.float32(note.velocity**1.4)
        if sound.ndim == 2:
            stem[start : start + len(sound)] += level * sound
            continue
        # low notes to the left and high ones to the right, as from the player's seat
        angle = np.pi / 4 * (1.0 + np.clip(part.pan + (note.midi - 64) / 90.0, -0.8, 0.8))
        stem[start : start + len(sound), 0] += level * np.float32(np.cos(angle)) * sound
        stem[start : start + len(sound), 1] += level * np.float32(np.sin(angle)) * sound


def _note(
    instrument: Instrument,
    note: Note,
    held_s: float,
    score: Score,
    tones: dict[tuple[int, int], Samples],
    players: np.random.Generator,
) -> Samples:
    cues = score.cues
    touch = min(_TOUCHES - 1, int(note.velocity * _TOUCHES))
    if instrument in DRUMS:
        # four takes of each hit, so that a row of them is no machine gun
        take = int(players.integers(4))
        if (take, 0) not in tones:
            tones[take, 0] = DRUMS[instrument](_tone_rng(score, instrument, take))
        return tones[take, 0]
    if instrument in SECTIONS:
        key = (note.midi, 0)
        if key not in tones:
            tones[key] = ensemble_loop(
                note.midi, instrument, cues.brightness_hz, _tone_rng(score, instrument, note.midi)
            )
        attack_s = 0.012 if instrument == "spiccato" else cues.attack_s
        release_s = _RELEASE_S.get(instrument, 0.35 + cues.attack_s)
        if instrument == "spiccato":
            held_s = min(held_s, 0.12)
        n = int((held_s + release_s) * SAMPLE_RATE_HZ)
        return _shaped(_from_loop(tones[key], int(players.integers(LOOP_SAMPLES)), n), attack_s, release_s)
    if instrument in WINDS:
        key = (note.midi, 0)
        if key not in tones:
            tones[key] = wind(note.midi, instrument, cues.brightness_hz, _tone_rng(score, instrument, note.midi))
        attack_s = min(0.04 + 0.15 * cues.attack_s, 0.15)
    else:
        key = (note.midi, touch)
        if key not in tones:
            rng = _tone_rng(score, instrument, note.midi)
            tones[key] = STRUCK[instrument](note.midi, (touch + 0.5) / _TOUCHES, cues.brightness_hz, rng)
        attack_s = 0.003
    release_s = _RELEASE_S[instrument]
    tone = tones[key]
    n = min(len(tone), int((held_s + release_s) * SAMPLE_RATE_HZ))
    return _shaped(tone[:n].copy(), attack_s, release_s)


def _from_loop(loop: Samples, offset: int, n: int) -> Samples:
    sound = np.empty((n, 2), dtype=np.float32)
    done = 0
    while done < n:
        piece = loop[offset : offset + n - done]
        sound[done : done + len(piece)] = piece
        done += len(piece)
        offset = 0
    return sound


def _shaped(sound: Samples, attack_s: float, release_s: float) -> Samples:
    """Raised-cosine ramps at both ends, in place, so that no note starts or ends with a click."""
    attack = min(int(attack_s * SAMPLE_RATE_HZ), len(sound) // 2)
    release = min(int(release_s * SAMPLE_RATE_HZ), len(sound) - attack)
    over_sides = (slice(None),) + (None,) * (sound.ndim - 1)
    sound[:attack] *= _rise(attack)[over_sides]
    # the square falls early and ends softly, nearer to a damped string than to a fader
    sound[len(sound) - release :] *= (_rise(release)[::-1] ** 2)[over_sides]
    return sound


@lru_cache(maxsize=256)
def _rise(n: int) -> Samples:
    return np.asarray(0.5 - 0.5 * np.cos(np.linspace(0.0, np.pi, n, dtype=np.float32)), dtype=np.float32)


def _tone_rng(score: Score, instrument: Instrument, which: int) -> np.random.Generator:
    return np.random.default_rng((*score.seed, 3, get_args(Instrument).index(instrument), which))


def _echo(stem: Samples, score: Score) -> None:
    """Two fainter repeats a beat and a half (or three quarters) apart, changing sides."""
    beat_s = 60.0 / score.tempo_bpm
    delay = int((1.5 if beat_s < 0.5 else 0.75) * beat_s * SAMPLE_RATE_HZ)
    repeat = stem[:-delay, ::-1] * np.float32(0.26)
    stem[delay:] += repeat
    stem[2 * delay :] += repeat[:-delay, ::-1] * np.float32(0.42)


def _gain(stem: Samples, part: Part) -> float:
    """What brings a stem to its role's level, measured over the tenths of a second in which it is loud."""
    window = SAMPLE_RATE_HZ // 10
    mono = (0.5 * (stem[:, 0] + stem[:, 1]))[: len(stem) // window * window].reshape(-1, window)
    power = np.einsum("ij,ij->i", mono, mono) / window
    # within 15 dB of the loudest: what is heard of a struck tone is its head, not its tail
    sounding = power[power > power.max() * 0.03]
    wanted_db = _ROLE_DB[part.role] + part.trim_db
    if part.role == "percussion":
        wanted_db += _DRUM_DB[part.instrument]
    return float(10.0 ** (wanted_db / 20.0) / np.sqrt(sounding.mean()))


def _rolled_off(mix: Samples, brightness_hz: float) -> Samples:
    """Rumble below and glare above taken off: 30 Hz, and gently from an octave above the brightness cue on."""
    sos = np.concatenate(
        [
            signal.butter(2, 30.0, btype="highpass", fs=SAMPLE_RATE_HZ, output="sos"),
            signal.butter(2, min(2.0 * brightness_hz, 14_000.0), fs=SAMPLE_RATE_HZ, output="sos"),
        ]
    )
    return np.asarray(signal.sosfilt(sos, mix.astype(np.float64), axis=0), dtype=np.float32)


def checksum(samples: Samples) -> int:
    """A CRC-32 of samples: what two runs on one machine are compared by."""
    return zlib.crc32(np.ascontiguousarray(samples).tobytes())
