"""A soak's verdicts: what they hold for good, what they find, and when they do not judge."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soak_figures import SoakRecord, Verdict, growth_mb, judge

from emomusic_edge.runtime.bench.machine import Machine

MACHINE = Machine(
    cpu="made up",
    board=None,
    cores=2,
    cores_allowed=2,
    governor=None,
    load_before=(0.0, 0.0, 0.0),
    system="Linux",
    python="3.12",
    packages={},
)
EVERY, SAMPLES = 100, 101
FRAMES = EVERY * (SAMPLES - 1)


def made(**changes: object) -> SoakRecord:
    """A record of a service that is well on a quiet machine; frames of about 9 ms with a tail."""
    random = np.random.default_rng(3)
    values: dict[str, object] = {
        "machine": MACHINE,
        "clip": "clip.mp4",
        "warm_up": 500,
        "every": EVERY,
        "resident_kib": [150_000 + int(noise) for noise in random.integers(0, 900, SAMPLES)],
        "anonymous_kib": [80_000 + int(noise) for noise in random.integers(0, 900, SAMPLES)],
        "threads": [10] * SAMPLES,
        "descriptors": [11] * SAMPLES,
        "fixed_work_ms": (2.5 + 0.1 * random.random(SAMPLES)).tolist(),
        "latency_ms": (8 + random.gamma(2.0, 0.5, FRAMES)).tolist(),
        "seconds": 90.0,
    }
    return SoakRecord.model_validate({**values, **changes})


def verdict(record: SoakRecord, what: str) -> Verdict:
    return next(verdict for verdict in judge(record) if verdict.what == what)


def test_a_service_that_is_well_holds_all() -> None:
    assert [verdict.outcome for verdict in judge(made())] == ["held"] * 5


@settings(max_examples=25)
@given(kib_a_sample=st.integers(0, 200))
def test_growth_is_found_exactly_from_the_bound_on(kib_a_sample: int) -> None:
    grown = [80_000 + kib_a_sample * i for i in range(SAMPLES)]
    # medians of tenths of 10 samples lie 91 samples apart
    assert growth_mb(grown) == pytest.approx(91 * kib_a_sample * 1024 / 1e6)
    expected = "broken" if 91 * kib_a_sample * 1024 >= 5e6 else "held"
    assert verdict(made(anonymous_kib=grown), "memory of its own").outcome == expected
    assert verdict(made(resident_kib=grown), "memory").outcome == expected


@given(place=st.integers(0, SAMPLES - 1), peak_kib=st.integers(0, 10**6))
def test_one_peak_of_memory_is_no_growth(place: int, peak_kib: int) -> None:
    kib = [80_000] * SAMPLES
    kib[place] += peak_kib
    assert growth_mb(kib) == 0.0


@pytest.mark.parametrize("what", ["threads", "descriptors"])
def test_a_single_thread_or_descriptor_more_is_found(what: str) -> None:
    name = {"threads": "threads", "descriptors": "file descriptors"}[what]
    more = [11] * (SAMPLES - 1) + [12]
    assert verdict(made(**{what: more}), name).outcome == "broken"
    assert verdict(made(**{what: [12] * 5 + [11] * (SAMPLES - 5)}), name).outcome == "held"


@pytest.mark.parametrize(("slower", "expected"), [(1.0, "held"), (1.07, "held"), (1.14, "broken")])
def test_frames_that_become_slower_are_found(slower: float, expected: str) -> None:
    latency = np.asarray(made().latency_ms) * np.linspace(1.0, slower, FRAMES)
    assert verdict(made(latency_ms=latency.tolist()), "latency").outcome == expected


def test_a_disturbance_that_the_fixed_work_saw_is_left_out() -> None:
    latency, work = np.asarray(made().latency_ms), np.asarray(made().fixed_work_ms)
    latency[-3 * EVERY : -EVERY] *= 3
    work[-4:-1] *= 2
    disturbed = made(latency_ms=latency.tolist(), fixed_work_ms=work.tolist())
    assert verdict(disturbed, "latency").outcome == "held"
    assert "quiet blocks 100% and 60%" in verdict(disturbed, "latency").told


@pytest.mark.parametrize("place", [slice(0, 8), slice(-8, None)])
def test_a_noisy_tenth_is_not_judged(place: slice) -> None:
    work = np.asarray(made().fixed_work_ms)
    work[place] *= 2
    noisy = verdict(made(fixed_work_ms=work.tolist()), "latency")
    assert noisy.outcome == "not judged"
    assert "too noisy" in noisy.told


@pytest.mark.parametrize("factor", [0.85, 1.15])
def test_a_machine_that_changes_its_speed_is_not_judged(factor: float) -> None:
    drifting = np.linspace(1.0, factor, FRAMES) * np.asarray(made().latency_ms)
    work = np.linspace(1.0, factor, SAMPLES) * np.asarray(made().fixed_work_ms)
    assert verdict(made(latency_ms=drifting.tolist(), fixed_work_ms=work.tolist()), "latency").outcome == "not judged"


def test_only_the_mark_runs_a_soak(repo: Path) -> None:
    def collected(*arguments: str) -> str:
        line = [sys.executable, "-m", "pytest", "--collect-only", "-q", "tests/soak", *arguments]
        return subprocess.run(line, cwd=repo, capture_output=True, text=True, check=False).stdout

    for usual in ((), ("-m", "broker"), ("-m", "not slow"), ("-k", "test_100_000_frames")):
        assert "::test_100_000_frames" not in collected(*usual)
    assert "::test_100_000_frames" in collected("-m", "soak")
    assert "::test_leaks_are_found" not in collected("-m", "soak")
