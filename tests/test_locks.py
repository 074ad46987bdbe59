"""The pinned installs: complete, hashed, and what setup.cfg asks for."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

from emomusic_edge.installation.environment_state import _PINNED_MACHINES, _PINNED_PYTHONS

SERVICE = "service.txt"
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


def needed(repo: Path) -> list[Requirement]:
    """What the service's environment needs: the base install and the extra that makes the starter set."""
    setup = configparser.ConfigParser()
    setup.read(repo / "setup.cfg")
    asked = f"{setup['options']['install_requires']}\n{setup['options.extras_require']['starter']}"
    return [Requirement(line) for line in re.sub(r"^#.*$", "", asked, flags=re.MULTILINE).split("\n") if line.strip()]


def chosen(repo: Path, version: str, machine: str) -> dict[str, list[str]]:
    """What pip takes of the service's lock for one Python and machine: the versions by package."""
    environment = {
        **default_environment(),
        **{"python_version": version, "python_full_version": f"{version}.4", "platform_machine": machine},
    }
    taken: dict[str, list[str]] = {}
    for entry in re.split(r"\n(?=\S)", (repo / "locks" / SERVICE).read_text(encoding="utf-8").strip()):
        requirement = Requirement(entry.replace("\\\n", " ").partition("--hash=")[0].strip())
        if requirement.marker is None or requirement.marker.evaluate(environment):
            taken.setdefault(requirement.name, []).append(str(requirement.specifier).removeprefix("=="))
    return taken


@pytest.mark.parametrize("machine", _PINNED_MACHINES)
@pytest.mark.parametrize("version", _PINNED_PYTHONS)
def test_the_services_lock_pins_all_that_its_environment_needs(repo: Path, version: str, machine: str) -> None:
    taken = chosen(repo, version, machine)
    assert all(len(versions) == 1 for versions in taken.values()), "one version of each"
    for requirement in needed(repo):
        if requirement.marker is None or requirement.marker.evaluate(
            {**default_environment(), "python_version": version}
        ):
            assert requirement.specifier.contains(taken[requirement.name][0]), f"{requirement}: make locks"
    base = repo / "locks" / f"runtime-{machine}-py{version}.txt"
    if base.exists():
        assert {name: [pin[0]] for name, pin in pinned(base).items()}.items() <= taken.items(), "make locks"


@pytest.mark.parametrize("name", [*LOCKS, SERVICE])
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
