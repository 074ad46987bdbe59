"""The page about groups tells the topics and messages that there are."""

from __future__ import annotations

import re

from pages import section, table, text_of

from emomusic_edge.runtime.groups.election import EXPIRES_S
from emomusic_edge.runtime.groups.group import Group
from emomusic_edge.runtime.groups.messages import (
    AnswerMessage,
    AskMessage,
    ClaimMessage,
    GroupSettings,
    PlanMessage,
    SkipMessage,
)

MODELS = {
    "leader": ClaimMessage,
    "plan": PlanMessage,
    "ask/<run>": AskMessage,
    "answer/<run>": AnswerMessage,
    "skip/<run>": SkipMessage,
}


def test_the_topics_and_examples_are_those_of_the_code() -> None:
    rows = {name.strip("`"): cells for name, *cells in table(section(text_of("docs/groups.md"), "Topics"))}
    assert rows.keys() == MODELS.keys()
    run = "5c01a2f3"
    listens = {one.pattern: one for one in Group(GroupSettings("g"), "kitchen", run=run).subscriptions()}
    for name, (_, qos, expires, example) in rows.items():
        one = listens.pop(f"emomusic-group/g/{name.replace('<run>', run)}")
        assert one.qos == int(qos[0])
        assert ("retained" in qos) == (name == "leader")
        # A plan that somebody had kept is heard of, to clear it.
        assert one.kept == (name in ("leader", "plan"))
        payload = re.findall(r"`(\{.*\})`", example)[0]
        # None left out, none made up.
        assert set(MODELS[name].model_validate_json(payload).model_fields_set) == set(MODELS[name].model_fields)
        assert name != "leader" or expires == f"{EXPIRES_S} s"
    assert not listens
