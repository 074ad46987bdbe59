"""Each topic of a group is listened to by the rule that the pages tell, and the page about groups names them all."""

from __future__ import annotations

import re

from pages import section, text_of

from emomusic_edge.runtime.groups.group import Group
from emomusic_edge.runtime.groups.messages import GroupSettings
from emomusic_edge.runtime.groups.topics import GROUP_TOPICS

RUN = "5c01a2f3"


def test_a_node_listens_by_the_rules_that_are_told() -> None:
    listens = {one.pattern: one for one in Group(GroupSettings("g"), "kitchen", run=RUN).subscriptions()}
    for rule in GROUP_TOPICS:
        one = listens.pop(rule.address.replace("<group>", "g").replace("<run>", RUN))
        assert one.qos == rule.qos
        # A plan that somebody had kept is heard of, to clear it.
        assert one.kept == (rule.retained or rule.name == "plan")
    assert not listens


def test_the_page_names_every_topic() -> None:
    named = re.findall(r"^\| `([^`]+)` \|", section(text_of("docs/groups.md"), "Topics"), flags=re.MULTILINE)
    assert named == [rule.name for rule in GROUP_TOPICS]
