"""What systemd tells of the service, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.installation.service_state import PROPERTIES, meaning_of, parse_last_result, parse_properties


def told(**properties: str) -> dict[str, str]:
    loaded = {"LoadState": "loaded", "UnitFileState": "enabled", "Result": "success"}
    text = "\n".join(f"{name}={value}" for name, value in {**loaded, **properties}.items())
    return dict(parse_properties(text).lines())


def test_running() -> None:
    lines = told(
        ActiveState="active",
        ActiveEnterTimestamp="Fri 2026-11-27 22:47:53 UTC",
        StatusText="10 frames/s, song 3",
        MemoryCurrent=str(360 * 2**20),
        NRestarts="2",
    )
    assert lines == {
        "service": "running since Fri 2026-11-27 22:47:53 UTC",
        "at boot": "started",
        "it says": "10 frames/s, song 3",
        "memory": "360 MB",
        "restarts": "2 since it was last started by hand; why: sudo emomusic-edge service logs",
    }


def test_not_installed() -> None:
    state = parse_properties("LoadState=not-found\nActiveState=inactive\n")
    assert not state.running
    assert dict(state.lines()) == {"service": "not installed", "to do": "sudo emomusic-edge service install"}


def test_a_user_is_told_lines_without_sudo() -> None:
    lines = dict(parse_properties("LoadState=loaded\nActiveState=failed\n", user=True).lines())
    assert lines["to do"] == (
        "emomusic-edge service logs --user; "
        "then: systemctl --user reset-failed emomusic-edge; systemctl --user restart emomusic-edge"
    )


def test_what_was_given_up_says_so_though_systemd_names_the_last_end_alone() -> None:
    end = {"ActiveState": "failed", "Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "4"}
    assert told(**end, NRestarts="60")["because"].startswith("it failed sixty times in an hour and stays down; exit")
    assert "sixty" not in told(**end, NRestarts="3")["because"]
    assert "sixty" not in told(**{**end, "ExecMainStatus": "75"}, NRestarts="60")["because"]


def test_the_watchdog_is_told_while_the_service_runs_again() -> None:
    journal = (
        "emomusic-edge.service: Failed with result 'signal'.\nemomusic-edge.service: Failed with result 'watchdog'.\n"
    )
    state = parse_properties(
        "LoadState=loaded\nActiveState=active\nNRestarts=2\n", last_result=parse_last_result(journal)
    )
    assert dict(state.lines())["restarts"] == (
        "2 since it was last started by hand; the last time because it stopped making progress and was ended by the "
        "watchdog"
    )
    assert parse_last_result("") == ""


@pytest.mark.parametrize(
    ("properties", "because"),
    [
        ({"Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "75"}, r"exit code 75: another run"),
        ({"Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "203"}, r"exit code 203: the program"),
        ({"Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "99"}, r"exit code 99: see docs/errors.md"),
        ({"Result": "watchdog", "ExecMainCode": "2", "ExecMainStatus": "6"}, "watchdog"),
        (
            {"Result": "start-limit-hit", "ExecMainCode": "1", "ExecMainStatus": "4"},
            "stays down; exit code 4: a camera",
        ),
        ({"Result": "a-later-one"}, "a-later-one"),
    ],
)
def test_it_says_why_it_failed_and_what_to_do(properties: dict[str, str], because: str) -> None:
    lines = told(ActiveState="failed", **properties)
    assert because in lines["because"]
    assert "service logs" in lines["to do"]


def test_masked_and_stopped() -> None:
    assert "unmask" in told(LoadState="masked", ActiveState="inactive")["to do"]
    assert told(ActiveState="inactive", UnitFileState="disabled")["at boot"] == "not started"


def test_memory_that_is_not_counted_is_not_told() -> None:
    for nothing in ("[not set]", str(2**64 - 1), ""):
        assert "memory" not in told(ActiveState="active", MemoryCurrent=nothing)


@given(st.text(max_size=200))
def test_any_answer_is_read(text: str) -> None:
    list(parse_properties("LoadState=loaded\n" + text.replace("NRestarts", "").replace("MemoryCurrent", "")).lines())


def test_every_property_that_is_read_is_asked_for() -> None:
    assert {"LoadState", "ActiveState", "NRestarts", "StatusText"} <= set(PROPERTIES)
    assert len(set(PROPERTIES)) == len(PROPERTIES)


def test_systemds_own_codes_have_words() -> None:
    assert "mqtt-password" in meaning_of(243)
