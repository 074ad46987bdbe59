"""The pinned installs: complete, hashed, and what setup.cfg asks for."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

LOCKS = [f"runtime-{machine}-py{version}.txt" for machine in ("x86_64", "aarch64") for version in ("3.10", "3.12")]


def pinned(lock: Path) -> dict[str, tuple[str, list[str]]]:
    """Version and hashes by package."""
    entries = re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8").strip())
    found = {}
    for entry in entries:
        head, *rest = entry.replace("\\\n", "\n").split("\n")
        name, _, version = head.split(";")[0].strip().partition("==")
        found[name] = (version, [line.strip().removeprefix("--hash=") for line in rest])
    return found


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_all_that_setup_asks_for(repo: Path, name: str) -> None:
    setup = configparser.ConfigParser()
    setup.read(repo / "setup.cfg")
    found = pinned(repo / "locks" / name)
    asked = re.sub(r"^#.*$", "", setup["options"]["install_requires"], flags=re.MULTILINE).split("\n")
    version = name.removesuffix(".txt").rsplit("-py", 1)[1]
    environment = {**default_environment(), "python_version": version}
    for line in filter(None, map(str.strip, asked)):
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate(environment):
            assert requirement.specifier.contains(found[requirement.name][0]), f"{line}: make locks"


@pytest.mark.parametrize("name", LOCKS)
def test_each_pin_has_its_hashes_and_no_address(repo: Path, name: str) -> None:
    lock = repo / "locks" / name
    assert "://" not in lock.read_text(encoding="utf-8")
    for package, (version, hashes) in pinned(lock).items():
        assert version, package
        assert hashes, package
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), package


def test_machines_of_one_python_differ_in_nothing_but_wheels(repo: Path) -> None:
    for version in ("3.10", "3.12"):
        of_x86, of_arm = (
            {package: pin[0] for package, pin in pinned(repo / "locks" / f"runtime-{machine}-py{version}.txt").items()}
            for machine in ("x86_64", "aarch64")
        )
        assert of_x86 == of_arm
