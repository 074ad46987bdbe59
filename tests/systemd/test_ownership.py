"""What root would run and somebody else could change is found, whatever way leads to it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fake_root import ENVIRONMENT, Machine

from emomusic_edge.installation import ServiceError
from emomusic_edge.installation.ownership import changeable, changeable_environment

OWN = frozenset({0, os.geteuid()})
ELSEWHERE = Path("/srv/python/bin/python3.11")


def found(machine: Machine, path: Path) -> str:
    return changeable(path, root=machine.root, owners=OWN)


def make(machine: Machine, path: Path) -> Path:
    here = machine.here(path)
    here.parent.mkdir(parents=True, exist_ok=True)
    here.touch()
    return here


def test_what_is_not_there_or_is_its_owners_is_passed(machine: Machine) -> None:
    make(machine, ELSEWHERE)
    assert found(machine, ELSEWHERE) == ""
    assert found(machine, Path("/srv/none/bin/python")) == ""


@pytest.mark.parametrize("part", ["/srv", "/srv/python", "/srv/python/bin", "/srv/python/bin/python3.11"])
@pytest.mark.parametrize("mode", [0o775, 0o757])
def test_a_folder_above_that_others_can_write_is_found(machine: Machine, part: str, mode: int) -> None:
    make(machine, ELSEWHERE)
    machine.here(Path(part)).chmod(mode)
    told = found(machine, ELSEWHERE)
    assert told == f"{machine.here(Path(part))} can be written by others (mode {mode:o})"


def test_links_are_followed_inside_the_root(machine: Machine) -> None:
    make(machine, ELSEWHERE)
    first = machine.here(ENVIRONMENT / "bin" / "python")
    first.symlink_to("python3")
    first.with_name("python3").symlink_to("/srv/python/bin/python3.11")
    assert found(machine, ENVIRONMENT / "bin" / "python") == ""
    machine.here(Path("/srv/python")).chmod(0o777)
    assert "/srv/python can be written" in found(machine, ENVIRONMENT / "bin" / "python")
    first.unlink()
    first.symlink_to("../../../../../../srv/python/bin/python3.11")
    assert "/srv/python can be written" in found(machine, ENVIRONMENT / "bin" / "python")


def test_links_in_a_circle_end(machine: Machine) -> None:
    machine.here(ENVIRONMENT / "bin" / "python").symlink_to("python")
    assert "circle" in found(machine, ENVIRONMENT / "bin" / "python")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a file away")
def test_another_users_file_or_link_is_found(machine: Machine) -> None:
    here = make(machine, ELSEWHERE)
    os.chown(here, 12345, 12345)
    assert found(machine, ELSEWHERE) == f"{here} belongs to user id 12345"
    link = machine.here(ENVIRONMENT / "bin" / "python")
    link.symlink_to("/usr/bin/python3")
    os.lchown(link, 12345, 12345)
    assert "belongs to user id 12345" in found(machine, ENVIRONMENT / "bin" / "python")


@pytest.mark.parametrize("part", [".", "bin", "bin/emomusic-edge", "lib/python3.11/site-packages"])
def test_an_environment_that_others_can_write_is_refused_before_anything_changes(machine: Machine, part: str) -> None:
    machine.here(ENVIRONMENT / "lib/python3.11/site-packages").mkdir(parents=True)
    assert changeable_environment(ENVIRONMENT, root=machine.root) == ""
    machine.here(ENVIRONMENT / part).chmod(0o777)
    before = machine.files()
    with pytest.raises(ServiceError, match="can be written by others") as told:
        machine.install()
    assert f"sudo chown -R root: {ENVIRONMENT}" in told.value.mend
    assert machine.files() == before


def test_the_temporary_folder_is_no_place_for_what_root_runs(tmp_path: Path) -> None:
    open_folder = tmp_path / "open"
    open_folder.mkdir()
    open_folder.chmod(0o1777)
    (open_folder / "python").touch()
    assert "can be written by others" in changeable(open_folder / "python", owners=OWN | {open_folder.stat().st_uid})
