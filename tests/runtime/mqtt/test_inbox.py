"""The inbox: its rate, its bound, and that no wish is taken twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.contracts import SetVolume, Skip
from emomusic_edge.runtime.mqtt.inbox import MAX_WAITING_COMMANDS, CommandRate, Inbox, Verdict
from emomusic_edge.runtime.mqtt.line import Received

TOPIC = "emomusic/kitchen/cmd/skip"


def skip(**others: object) -> Received:
    return Received(TOPIC, b"", **others)  # type: ignore[arg-type]


@given(
    gaps_s=st.lists(st.floats(min_value=0, max_value=3), max_size=200),
    per_s=st.floats(min_value=0.5, max_value=20),
    burst=st.integers(min_value=1, max_value=30),
)
def test_never_more_than_the_rate_and_the_burst(gaps_s: list[float], per_s: float, burst: int) -> None:
    inbox = Inbox(CommandRate(per_s, burst))
    now_s, taken_s = 0.0, []
    for gap_s in gaps_s:
        now_s += gap_s
        if not inbox.take("skip", skip(), now_s).refusal:
            taken_s.append(now_s)
        inbox.commands()
    for first, begin_s in enumerate(taken_s):
        for last, end_s in enumerate(taken_s[first:], 1):
            assert last <= burst + per_s * (end_s - begin_s) + 1e-6


@given(count=st.integers(min_value=1, max_value=100))
def test_at_the_rate_all_are_taken(count: int) -> None:
    inbox = Inbox(CommandRate(5.0, 10))
    for turn in range(count):
        assert inbox.take("skip", skip(), 0.2 * turn) == Verdict()
        inbox.commands()


def test_a_flood_is_told_what_holds_it_back_without_reading_it() -> None:
    inbox = Inbox(CommandRate(5.0, 10))
    answers = [inbox.take("volume", Received(TOPIC, b"nonsense"), 0.0) for _ in range(12)]
    assert "expected a number from 0 to 1" in answers[9].refusal
    assert not answers[9].too_fast
    assert answers[10].refusal.startswith("more than 5 commands a second")
    assert answers[10].too_fast
    assert len(inbox.rejected()) == 12


def test_a_step_that_is_slow_bounds_what_waits() -> None:
    inbox = Inbox(CommandRate(1e6, 10**6))
    answers = [inbox.take("skip", skip(), 0.0) for _ in range(MAX_WAITING_COMMANDS + 1)]
    assert answers[-1].refusal == f"skip: {MAX_WAITING_COMMANDS} commands are waiting already"
    assert list(inbox.commands()) == [Skip()] * MAX_WAITING_COMMANDS


@pytest.mark.parametrize("between", [0, 20])
def test_what_the_broker_sends_again_is_answered_and_not_done_again(between: int) -> None:
    inbox = Inbox(CommandRate(1e6, 10**6))
    assert inbox.take("skip", skip(packet_id=7), 0.0) == Verdict()
    for packet_id in range(100, 100 + between):
        inbox.take("volume", Received("emomusic/kitchen/cmd/volume", b"0.5", packet_id=packet_id), 0.0)
    assert inbox.take("skip", skip(packet_id=7, duplicate=True), 0.0) == Verdict()
    assert list(inbox.commands()) == [Skip(), *[SetVolume(0.5)] * between]


def test_a_duplicate_whose_first_was_never_seen_is_done() -> None:
    inbox = Inbox(CommandRate())
    assert inbox.take("skip", skip(packet_id=7, duplicate=True), 0.0) == Verdict()
    assert inbox.take("skip", skip(packet_id=8, duplicate=True), 0.0) == Verdict()
    assert list(inbox.commands()) == [Skip(), Skip()]


def test_a_packet_id_used_anew_is_another_wish() -> None:
    inbox = Inbox(CommandRate())
    assert inbox.take("skip", skip(packet_id=7), 0.0) == Verdict()
    assert inbox.take("skip", skip(packet_id=7), 0.0) == Verdict()
    assert list(inbox.commands()) == [Skip(), Skip()]
