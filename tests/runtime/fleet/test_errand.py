"""A command for many: whose answer counts, and what is told of those that gave none."""

from __future__ import annotations

import json

from emomusic_edge.runtime.fleet.errand import Errand, Outcome
from emomusic_edge.runtime.mqtt.line import Received


def answer(
    errand: Errand, node: str, correlation: bytes | None, now_s: float, *, ok: bool = True, command: str = "pause"
) -> None:
    payload = json.dumps({"at": "2026-11-22T22:05:07.120Z", "ok": ok, "reason": "" if ok else "not now"}).encode()
    errand.hear(Received(f"emomusic/{node}/cmd/{command}/result", payload, correlation=correlation), now_s)


def test_each_device_answers_for_itself() -> None:
    errand = Errand("pause")
    for place, node in enumerate(("hall", "kitchen", "cellar")):
        errand.ask(node, bytes([place]), 1.0)
    errand.pass_over("attic", "offline")
    errand.pass_over("atelier", "unknown")
    answer(errand, "hall", b"\0", 1.25)
    answer(errand, "kitchen", b"\1", 2.0, ok=False)
    assert errand.waits == 1
    assert errand.outcomes() == (
        Outcome("hall", "ok", "", 250.0),
        Outcome("kitchen", "refused", "not now", 1000.0),
        Outcome("cellar", "silent"),
        Outcome("attic", "offline"),
        Outcome("atelier", "unknown"),
    )


def test_answers_to_others_are_passed_over() -> None:
    errand = Errand("pause")
    errand.ask("hall", b"\0", 1.0)
    answer(errand, "hall", b"other", 1.1)
    answer(errand, "hall", None, 1.1)
    answer(errand, "hall", b"\0", 1.1, command="skip")
    answer(errand, "kitchen", b"\0", 1.1)
    errand.hear(Received("emomusic/hall/state", b"{}"), 1.1)
    assert (errand.waits, errand.strays) == (1, 0)


def test_a_second_answer_and_one_that_cannot_be_read_are_counted() -> None:
    errand = Errand("pause")
    errand.ask("hall", b"\0", 1.0)
    errand.hear(Received("emomusic/hall/cmd/pause/result", b"{", correlation=b"\0"), 1.1)
    assert errand.waits == 1
    answer(errand, "hall", b"\0", 1.2)
    answer(errand, "hall", b"\0", 1.3, ok=False)
    assert errand.outcomes()[0].answer == "ok"
    assert errand.strays == 2


def test_without_correlation_data_the_topic_decides() -> None:
    errand = Errand("pause", by_topic=True)
    errand.ask("hall", b"\0", 1.0)
    answer(errand, "hall", None, 1.1)
    assert errand.outcomes()[0].answer == "ok"
