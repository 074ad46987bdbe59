"""The blueprints against Home Assistant's rules, restated: they hold where its interpreter is missing.

Read in Home Assistant 2025.4: components/blueprint/schemas.py, components/automation/config.py, helpers/selector.py.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jinja2
import pytest
from blueprint_files import FILES, FOLDER, Input, load, steps, templates, walk

from emomusic_edge.contracts import Mode
from emomusic_edge.runtime.home_assistant.components import components
from emomusic_edge.runtime.mqtt.broker import BrokerSettings

# Of each kind of step the keys that it must have, and those that it may.
TRIGGERS = {
    "state": ({"entity_id"}, {"from", "to", "for"}),
    "time": ({"at"}, set()),
    "time_pattern": (set(), {"hours", "minutes", "seconds"}),
    "homeassistant": ({"event"}, set()),
    "template": ({"value_template"}, {"for"}),
}
CONDITIONS = {
    "state": ({"entity_id", "state"}, set()),
    "numeric_state": ({"entity_id"}, {"above", "below"}),
    "template": ({"value_template"}, set()),
    "trigger": ({"id"}, set()),
    "time": (set(), {"after", "before"}),
}
ACTIONS = {
    "action": ({"action"}, {"target", "data"}),
    "delay": ({"delay"}, set()),
    "wait_template": ({"wait_template"}, {"timeout", "continue_on_timeout"}),
    "if": ({"if", "then"}, {"else"}),
    "choose": ({"choose"}, {"default"}),
    "repeat": ({"repeat"}, set()),
    "variables": ({"variables"}, set()),
    "condition": ({"condition"}, {"entity_id", "state", "value_template"}),
}
SELECTORS = {
    "entity": {"multiple", "filter"},
    "number": {"min", "max", "step", "unit_of_measurement"},
    "select": {"options"},
    "text": {"multiline"},
    "time": set(),
    "boolean": set(),
    "action": set(),
}
# Home Assistant's own, beside what Jinja has.
FILTERS = {"is_number", "states", "is_state", "has_value"}


def names(file: Path) -> str:
    return file.stem


files = pytest.mark.parametrize("file", FILES, ids=names)


def inputs(loaded: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = loaded["blueprint"]["input"]
    return found


def test_all_blueprints_are_here() -> None:
    assert [file.name for file in FILES] == sorted(path.name for path in FOLDER.iterdir())
    assert len(FILES) == 4


@files
def test_it_says_what_it_is(file: Path) -> None:
    head = load(file)["blueprint"]
    assert set(head) == {"name", "description", "domain", "homeassistant", "input"}
    assert head["domain"] == "automation"
    assert re.fullmatch(r"\d+\.\d+\.\d+", head["homeassistant"]["min_version"])


@files
def test_every_input_is_used_and_every_use_is_an_input(file: Path) -> None:
    loaded = load(file)
    used = {value.name for value in walk(steps(loaded)) if isinstance(value, Input)}
    assert used == set(inputs(loaded))


@files
def test_every_input_has_a_selector_that_its_default_fits(file: Path) -> None:
    for name, told in inputs(load(file)).items():
        assert set(told) <= {"name", "description", "default", "selector"}, name
        ((kind, options),) = told["selector"].items()
        assert set(options or {}) <= SELECTORS[kind], name
        if "default" not in told:
            continue
        default = told["default"]
        match kind:
            case "number":
                assert options["min"] <= default <= options["max"], name
            case "select":
                assert default in options["options"], name
            case "boolean":
                assert isinstance(default, bool), name
            case "time":
                assert re.fullmatch(r"\d\d:\d\d:\d\d", default), name
            case "entity" | "action":
                assert default == [], name
            case _:
                assert isinstance(default, str), name


@files
def test_every_step_has_the_keys_of_its_kind(file: Path) -> None:
    loaded = load(file)
    assert set(steps(loaded)) <= {"mode", "max", "max_exceeded", "triggers", "trigger_variables", "variables"} | {
        "conditions",
        "actions",
    }
    assert loaded["mode"] in ("single", "queued", "restart", "parallel")
    ids = set()
    for trigger in loaded["triggers"]:
        check(trigger, TRIGGERS[trigger["trigger"]], {"trigger", "id"})
        ids.add(trigger.get("id"))
    check_conditions(loaded.get("conditions", []), ids)
    check_actions(loaded["actions"], ids)


def check(step: dict[str, Any], keys: tuple[set[str], set[str]], common: set[str]) -> None:
    needed, allowed = keys
    assert needed <= set(step), step
    assert set(step) <= needed | allowed | common, step


def check_conditions(conditions: Any, ids: set[Any]) -> None:
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if isinstance(condition, str):
            assert condition.startswith("{{"), condition
            continue
        check(condition, CONDITIONS[condition["condition"]], {"condition"})
        assert condition["condition"] != "trigger" or condition["id"] in ids


def check_actions(actions: Any, ids: set[Any]) -> None:
    if isinstance(actions, Input):
        return
    for step in actions:
        kind = next(kind for kind in ACTIONS if kind in step)
        check(step, ACTIONS[kind], {"alias"})
        match kind:
            case "condition":
                check_conditions([step], ids)
            case "if":
                check_conditions(step["if"], ids)
                check_actions(step["then"], ids)
            case "choose":
                for branch in step["choose"]:
                    assert set(branch) <= {"alias", "conditions", "sequence"}
                    check_conditions(branch["conditions"], ids)
                    check_actions(branch["sequence"], ids)
            case "repeat":
                assert set(step["repeat"]) == {"for_each", "sequence"}
                check_actions(step["repeat"]["sequence"], ids)


@files
def test_every_template_could_be_rendered(file: Path) -> None:
    jinja = jinja2.Environment(autoescape=True)
    jinja.filters |= dict.fromkeys(FILTERS, lambda *_: "")
    jinja.tests |= dict.fromkeys(FILTERS, lambda *_: True)
    for text in templates(load(file)):
        jinja.from_string(text)


def test_modes_and_volumes_are_those_of_the_device() -> None:
    asked = inputs(load(FOLDER / "quiet_hours.yaml"))
    known = {mode.value for mode in Mode}
    for name in ("quiet_mode", "day_mode"):
        assert set(asked[name]["selector"]["select"]["options"]) <= known
    volume = components(BrokerSettings(node="living-room"))["number_volume"]
    for name in ("quiet_volume", "day_volume"):
        told = asked[name]["selector"]["number"]
        assert (told["min"], told["max"], told["unit_of_measurement"]) == (
            volume["min"],
            volume["max"],
            volume["unit_of_measurement"],
        )
