"""Whatever the paths and the files that stand there: nothing leaves the root, nothing of an owner is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emomusic_edge.installation import (
    InstallRecord,
    ServiceError,
    Wish,
    install_plan,
    system_places,
    uninstall_plan,
)
from emomusic_edge.installation.machine import below
from emomusic_edge.installation.plan import Found, possible_files
from emomusic_edge.installation.steps import RemoveFile, SaveCopy, WriteFile

names = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="/\0"), min_size=1, max_size=12)


@settings(max_examples=200)
@given(parts=st.lists(names, min_size=1, max_size=4))
def test_no_path_leads_out_of_the_root(parts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("root")
    path = Path("/").joinpath(*parts)
    try:
        place = below(root, path)
    except ServiceError:
        assert ".." in path.parts
    else:
        assert place.parent.resolve().is_relative_to(root.resolve())


states = st.sampled_from(["absent", "ours", "older", "changed"])


@settings(max_examples=200)
@given(data=st.data(), private=st.booleans())
def test_no_plan_loses_what_an_owner_wrote(data: st.DataObject, private: bool) -> None:
    """Whatever stands there: a file is overwritten or removed only if it is ours, or after a copy of it was made."""
    places = system_places()
    there: dict[Path, str] = {}
    recorded: dict[str, str] = {}
    for path in possible_files(places):
        state = data.draw(states, label=str(path))
        if state != "absent":
            there[path] = state
        if state in ("ours", "older"):
            recorded[str(path)] = state
        elif state == "changed":
            recorded[str(path)] = "as it was"
    found = Found(
        record=InstallRecord(files=recorded, version="1"),
        sha256=there,
        copies={path: path.with_name(f"{path.name}.saved") for path in there},
        environments=frozenset({places.environment}),
    )
    wish = Wish("2", "1", private_network=private)
    for steps in (install_plan(wish, found, places), uninstall_plan(found, places) if recorded else []):
        saved: set[Path] = set()
        for step in steps:
            if isinstance(step, SaveCopy):
                saved.add(step.path)
            if isinstance(step, WriteFile | RemoveFile) and there.get(step.path) == "changed":
                assert step.path in saved
