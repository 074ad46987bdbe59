"""The verdicts on a run of faults: what they hold for good, and the one thing that breaks each."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fault_report import STEP_GAP_BOUND_MS, WARM_UP, Struck, judge, table

WELL = Struck(
    kind="resets",
    note="for 1.0 s",
    half_open=False,
    reconnected=True,
    back_s=2.0,
    right_s=0.2,
    asked=2,
    lost=0,
    right_before=True,
    right_after=True,
    resident_kib=150_000,
    anonymous_kib=80_000,
    threads=15,
    descriptors=8,
    standstills=0,
    lacking_ms=0.0,
    step_gap_ms=110.0,
)
RUN = [replace(WELL, half_open=number % 5 == 0) for number in range(WARM_UP + 100)]


def broken(run: list[Struck], *, obeyed_twice: int = 0, faults: tuple[str, ...] = ()) -> list[str]:
    return [
        verdict.what for verdict in judge(run, twice=1, obeyed_twice=obeyed_twice, faults=faults) if not verdict.held
    ]


def test_a_run_that_is_well_holds_all() -> None:
    assert broken(RUN) == []


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"lost": 1}, "no reply lost"),
        ({"right_before": False}, "retained state right"),
        ({"right_after": False}, "retained state right"),
        ({"half_open": False, "right_s": 5.1}, "right after each reconnect"),
        ({"half_open": True, "back_s": 25.1}, "back from half-open"),
        ({"standstills": 1}, "music never stops"),
        ({"lacking_ms": 0.1}, "music never stops"),
        ({"step_gap_ms": STEP_GAP_BOUND_MS}, "the loop never waits"),
    ],
)
def test_one_fault_that_went_ill_is_found(change: dict[str, float], what: str) -> None:
    assert broken([*RUN[:40], replace(RUN[40], **change), *RUN[41:]]) == [what]  # type: ignore[arg-type]


def test_what_is_seen_over_the_whole_run_is_found() -> None:
    assert broken(RUN, obeyed_twice=1) == ["nothing obeyed twice"]
    assert broken(RUN, faults=("Traceback",)) == ["no crash"]


@pytest.mark.parametrize(
    ("name", "a_fault", "what"),
    [
        ("resident_kib", 100, "memory flat"),
        ("anonymous_kib", 100, "memory flat"),
        ("threads", 1, "threads and files flat"),
        ("descriptors", 1, "threads and files flat"),
    ],
)
def test_what_grows_with_each_fault_is_found(name: str, a_fault: int, what: str) -> None:
    grown = [replace(struck, **{name: getattr(struck, name) + a_fault * i}) for i, struck in enumerate(RUN)]
    assert broken(grown) == [what]
    # What the first faults bring is a warm-up.
    warming = [replace(struck, **{name: getattr(struck, name) - 50 * (i < WARM_UP)}) for i, struck in enumerate(RUN)]
    assert broken(warming) == []


def test_the_table_counts_by_kind() -> None:
    told = table([WELL, replace(WELL, back_s=4.0, lost=1), replace(WELL, kind="flood", reconnected=False)])
    assert "| resets | 2 | 3.0 / 3.9 / 4.0 | 2 | 0.2 | 1 of 4 |" in told
    assert "| flood | 1 | 2.0 / 2.0 / 2.0 | 0 |  | 0 of 2 |" in told
