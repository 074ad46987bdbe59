"""Installing, upgrading and removing, on real files below a root of its own."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from fake_root import Machine

from emomusic_edge.config import load_config
from emomusic_edge.installation import (
    InstallRecord,
    ServiceError,
    Source,
    Wish,
    carry_out,
    install_plan,
    look,
    uninstall_plan,
    user_places,
)
from emomusic_edge.installation.environment_steps import without
from emomusic_edge.installation.plan import Found
from emomusic_edge.installation.steps import KeepFile, Note, RemoveFile, Run, SaveCopy, WriteFile

UNIT = Path("/etc/systemd/system/emomusic-edge.service")
SETTINGS = Path("/etc/emomusic-edge/config.toml")
RULES = Path("/etc/udev/rules.d/70-emomusic-camera.rules")


def test_a_first_installation_puts_everything_in_place(machine: Machine, repo: Path) -> None:
    machine.install()
    for path in (UNIT, RULES, Path("/etc/sysusers.d/emomusic-edge.conf"), Path("/etc/tmpfiles.d/emomusic-edge.conf")):
        assert machine.here(path).is_file()
        assert stat.S_IMODE(machine.here(path).stat().st_mode) == 0o644
    assert machine.text(UNIT) == (repo / "systemd" / "emomusic-edge.service").read_text()
    assert stat.S_IMODE(machine.here(SETTINGS).stat().st_mode) == 0o640
    assert (
        machine.text(Path("/etc/emomusic-edge/config.toml.example"))
        == (repo / "systemd" / "config.example.toml").read_text()
    )
    assert [argv[0] for argv in machine.ran] == ["systemd-sysusers", "systemd-tmpfiles", "systemctl"]
    assert all(f"--root={machine.root}" in argv for argv in machine.ran)


def test_the_first_settings_name_the_camera_of_the_udev_rule_and_load(machine: Machine) -> None:
    machine.install()
    assert load_config(machine.here(SETTINGS)).camera.source == "/dev/emomusic-camera"
    assert 'SYMLINK+="emomusic-camera"' in machine.text(RULES)


def test_the_same_line_again_changes_no_file(machine: Machine) -> None:
    machine.install()
    before = machine.files()
    again = machine.install()
    assert machine.files() == before
    assert not [step for step in again if not isinstance(step, KeepFile | Run) and not str(step).startswith("folder")]


def test_an_upgrade_keeps_the_settings_and_brings_a_new_example(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.install()
    machine.here(SETTINGS).write_text("[camera]\nsource = 'mine'\n")
    _ship(monkeypatch, {"config.example.toml": "# of version 2\n", "emomusic-edge.service": "[Service]\n# 2\n"})
    steps = machine.install(version="2.0")
    assert machine.text(SETTINGS) == "[camera]\nsource = 'mine'\n"
    assert machine.text(Path("/etc/emomusic-edge/config.toml.example")) == "# of version 2\n"
    assert machine.text(UNIT) == "[Service]\n# 2\n"
    assert not [step for step in steps if isinstance(step, SaveCopy)], "an older version of ours is no owner's change"
    assert json.loads(machine.text(Path("/etc/emomusic-edge/installed.json")))["version"] == "2.0"


def test_what_its_owner_changed_is_kept_as_a_copy(machine: Machine) -> None:
    machine.install()
    for number in (1, 2):
        machine.here(UNIT).write_text(f"# mine {number}\n")
        machine.install()
    assert machine.text(UNIT.with_name("emomusic-edge.service.saved")) == "# mine 1\n"
    assert machine.text(UNIT.with_name("emomusic-edge.service.saved-2")) == "# mine 2\n"
    assert "ExecStart" in machine.text(UNIT)


def test_a_unit_put_there_by_hand_before_counts_as_the_owners(machine: Machine) -> None:
    machine.here(UNIT).parent.mkdir(parents=True)
    machine.here(UNIT).write_text("# by hand\n")
    machine.install()
    assert machine.text(UNIT.with_name("emomusic-edge.service.saved")) == "# by hand\n"


def test_drop_ins_come_stay_and_go(machine: Machine) -> None:
    drop_in = machine.places.drop_ins / "private-network.conf"
    machine.install(private_network=True)
    machine.install()
    assert machine.here(drop_in).is_file(), "what is not said stays as it was"
    machine.install(private_network=False)
    assert not machine.here(drop_in).exists()


def test_a_jetson_is_recognised(machine: Machine) -> None:
    release = machine.here(Path("/etc/nv_tegra_release"))
    release.parent.mkdir(parents=True)
    release.touch()
    machine.install()
    assert "/dev/nvmap" in machine.text(machine.places.drop_ins / "jetson.conf")
    machine.install(jetson=False)
    assert not machine.here(machine.places.drop_ins / "jetson.conf").exists()


def test_another_environment_is_named_in_a_drop_in(machine: Machine) -> None:
    program = machine.here(Path("/srv/my env/bin/emomusic-edge"))
    program.parent.mkdir(parents=True)
    program.touch()
    machine.install(venv=Path("/srv/my env"))
    text = machine.text(machine.places.drop_ins / "environment.conf")
    assert 'ExecStart="/srv/my env/bin/emomusic-edge" run --config /etc/emomusic-edge/config.toml\n' in text
    machine.install(venv=None)
    assert machine.here(machine.places.drop_ins / "environment.conf").exists(), "it is remembered"
    machine.install(venv=Path("/opt/emomusic-edge/venv"))
    assert not machine.here(machine.places.drop_ins / "environment.conf").exists()


def test_uninstall_leaves_settings_state_and_the_answer(machine: Machine) -> None:
    machine.install(private_network=True)
    machine.here(RULES).write_text("# mine\n")
    machine.here(machine.places.state).mkdir(parents=True)
    machine.uninstall()
    left = set(machine.files())
    assert left == {
        "etc/emomusic-edge/config.toml",
        "etc/emomusic-edge/installed.json",
        "etc/udev/rules.d/70-emomusic-camera.rules.saved",
        "opt/emomusic-edge/venv/bin/emomusic-edge",
    }, "an environment that was only named is not ours to remove"
    assert machine.here(machine.places.state).is_dir()
    assert not machine.here(machine.places.drop_ins).exists()
    assert look(machine.places, root=machine.root).record.acknowledged == "1"
    with pytest.raises(ServiceError, match="Nothing to take away"):
        machine.uninstall()


def test_purge_takes_settings_and_state_too(machine: Machine) -> None:
    machine.install()
    machine.here(machine.places.state).mkdir(parents=True)
    machine.uninstall(purge=True)
    assert not machine.here(machine.places.config).exists()
    assert not machine.here(machine.places.state).exists()


def test_a_failing_command_ends_it_and_the_same_line_again_goes_on(machine: Machine) -> None:
    machine.fails = lambda argv: argv[0] == "systemd-tmpfiles"
    with pytest.raises(ServiceError, match=r"systemd-tmpfiles .* exit code 1"):
        machine.install()
    machine.fails = lambda argv: False
    steps = machine.install()
    assert not [step for step in steps if isinstance(step, WriteFile | SaveCopy)]
    assert machine.ran[-1][0] == "systemctl"


def test_a_masked_unit_is_refused_before_anything_changes(machine: Machine) -> None:
    machine.here(UNIT).parent.mkdir(parents=True)
    machine.here(UNIT).symlink_to("/dev/null")
    before = machine.files()
    with pytest.raises(ServiceError, match="link to /dev/null") as told:
        machine.install()
    assert told.value.mend == "systemctl unmask emomusic-edge"
    assert machine.files() == before


def test_a_link_does_not_lead_out_of_the_root(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    machine.root.joinpath("etc").symlink_to(tmp_path / "outside")
    with pytest.raises(ServiceError, match="leads out of"):
        machine.install()
    assert not list((tmp_path / "outside").iterdir())


@pytest.mark.parametrize("name", ["installed.json", "config.toml.example"])
def test_a_file_that_is_a_link_is_neither_read_nor_written(machine: Machine, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_text(InstallRecord(acknowledged="1").text())
    before = outside.read_bytes()
    link = machine.here(machine.places.config / name)
    link.parent.mkdir(parents=True)
    for target in (outside, Path("../../../outside"), Path("elsewhere")):
        link.unlink(missing_ok=True)
        link.symlink_to(target)
        with pytest.raises(ServiceError, match=f"{name} is a link to"):
            machine.install()
        with pytest.raises(ServiceError, match=f"{name} is a link to"):
            machine.do([WriteFile(machine.places.config / name, "x")])
        assert outside.read_bytes() == before
        assert not (link.parent / "elsewhere").exists()


def test_settings_that_are_a_link_are_left_alone(machine: Machine, tmp_path: Path) -> None:
    machine.here(SETTINGS).parent.mkdir(parents=True)
    machine.here(SETTINGS).symlink_to("/srv/git/config.toml")
    machine.install()
    assert machine.here(SETTINGS).is_symlink()


@pytest.mark.parametrize("text", ["", "{}x", '{"schema_version": 9}', '{"files": 3}', "\x00"])
def test_a_record_that_is_none_is_refused_with_words(machine: Machine, text: str) -> None:
    path = machine.here(machine.places.record)
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(ServiceError, match=r"installed\.json") as told:
        machine.install()
    assert "sudo mv" in told.value.mend


def test_only_our_own_files_are_removed_whatever_the_record_says(machine: Machine) -> None:
    machine.install()
    other = machine.here(Path("/etc/passwd"))
    other.write_text("root:x:0:0::/root:/bin/sh\n")
    path = machine.here(machine.places.record)
    record = InstallRecord.model_validate_json(path.read_text())
    files = {**record.files, "/etc/passwd": "0"}
    path.write_text(record.model_copy(update={"files": files, "venv": "/etc", "venv_made": True}).text())
    machine.uninstall()
    assert other.exists()


def test_the_umask_of_the_one_who_installs_does_not_matter(machine: Machine) -> None:
    before = os.umask(0o077)
    try:
        machine.install()
        assert os.umask(0o077) == 0o077
    finally:
        os.umask(before)
    assert stat.S_IMODE(machine.here(machine.places.config).stat().st_mode) == 0o755


# On the running system: the plan alone

SOURCE = Source("emomusic-edge==1.0", "emomusic-edge[starter]==1.0", ("numpy>=1", "onnxruntime<1.29,>=1.23.2"))


def _running(machine: Machine, **changes: object) -> list[str]:
    found = {"environments": frozenset({Path("/opt/emomusic-edge/venv")}), **changes.pop("found", {})}  # type: ignore[dict-item]
    wish = replace(machine.wish, venv=None, source=SOURCE, **changes)  # type: ignore[arg-type]
    return [str(step) for step in install_plan(wish, Found(**found), machine.places)]


def test_the_environment_comes_first_and_the_start_last(machine: Machine) -> None:
    told = _running(machine, found={"environments": frozenset()})
    assert told[0] == "run      /usr/bin/python3 -m venv /opt/emomusic-edge/venv"
    assert told[1].startswith("note     the packages are not checked against pinned hashes")
    assert told[2].endswith("pip install --quiet --disable-pip-version-check 'emomusic-edge[starter]==1.0'")
    assert told[3].endswith("--no-deps --force-reinstall emomusic-edge==1.0")
    assert told[-1] == "run      systemctl restart emomusic-edge.service"
    order = [line.split()[1] for line in told if line.startswith("run ")]
    assert order[3:] == [
        *("systemd-sysusers", "systemd-tmpfiles", "systemctl", "udevadm", "udevadm", "runuser"),
        *("systemctl", "systemctl", "systemctl"),
    ]
    assert told[-2] == "run      systemctl reset-failed emomusic-edge.service", "given up, it would not be started"


def test_an_upgrade_reads_the_settings_that_are_there_before_it_restarts_anything(machine: Machine) -> None:
    read = "run      /opt/emomusic-edge/venv/bin/emomusic-edge service do doctor --only config"
    upgrade = {"sha256": {machine.places.settings: ""}}
    told = _running(machine, found=upgrade)
    assert told.index(read) < told.index("run      systemctl restart emomusic-edge.service")
    assert read not in _running(machine)
    assert read not in _running(machine, found=upgrade, start=False)
    assert read not in _running(machine, found={**upgrade, "booted": False})


def test_a_jetsons_environment_sees_the_systems_tensorrt(machine: Machine) -> None:
    told = _running(machine, found={"jetson": True, "environments": frozenset()})
    assert "--system-site-packages" in told[0]


def test_wheels_are_taken_without_the_network(machine: Machine) -> None:
    wheel = "/w/emomusic_edge-1.0-py3-none-any.whl"
    source = Source(wheel, f"{wheel}[starter]", SOURCE.needs, Path("/w"))
    found = Found(environments=frozenset({machine.places.environment}), pins=PINS)
    told = [str(step) for step in install_plan(_with(machine, source=source, venv=None), found, machine.places)]
    assert told[0] == "note     the packages are not checked against pinned hashes: they come from your folder"
    assert f"--no-index --find-links /w '{wheel}[starter]'" in told[1]
    assert told[2].endswith(f"--no-index --find-links /w --no-deps --force-reinstall {wheel}")


PINS = """\
numpy==2.0 \\
    --hash=sha256:00
onnxruntime==1.28.0 ; x \\
    --hash=sha256:11
rich==1 \\
    --hash=sha256:22
"""


def test_what_is_installed_as_root_is_pinned_by_its_hashes(machine: Machine) -> None:
    found = {"pins": PINS, "environments": frozenset()}
    steps = install_plan(_with(machine, source=SOURCE, venv=None, root=None), Found(**found), machine.places)  # type: ignore[arg-type]
    lock = machine.places.environment / "pins.txt"
    assert [step.content for step in steps if isinstance(step, WriteFile) and step.path == lock] == [PINS]
    told = [str(step) for step in steps]
    assert told[2].endswith(f"--require-hashes -r {lock}")
    assert told[3].endswith("--no-deps --force-reinstall emomusic-edge==1.0")
    assert not [line for line in told if line.startswith("note ")]


@pytest.mark.parametrize("pins", [PINS, ""])
def test_another_onnxruntime_is_not_installed_over(machine: Machine, pins: str) -> None:
    found = Found(pins=pins, onnxruntime="onnxruntime-gpu", environments=frozenset({machine.places.environment}))
    steps = install_plan(_with(machine, source=SOURCE, venv=None), found, machine.places)
    told = [str(step) for step in steps if isinstance(step, Note | Run)]
    assert told[0] == "note     onnxruntime-gpu stays: onnxruntime is not installed over it"
    assert not [line for line in told[1:] if "onnxruntime" in line or "[starter]" in line]
    written = [step.content for step in steps if isinstance(step, WriteFile) and step.path.name == "pins.txt"]
    assert [without(PINS, "onnxruntime")] == written if pins else "numpy>=1" in told[2]
    assert all("onnxruntime" not in text and "rich==1" in text and "numpy==2.0" in text for text in written)


def test_without_systemd_nothing_is_started(machine: Machine) -> None:
    told = _running(machine, found={"booted": False})
    assert "run      systemctl enable emomusic-edge.service" in told
    assert not [line for line in told if "restart" in line or "daemon-reload" in line or "udevadm" in line]


def test_a_starter_set_that_is_there_is_not_made_again(machine: Machine) -> None:
    assert not [line for line in _running(machine, found={"starter": True}) if "demo" in line]
    assert not [line for line in _running(machine, starter=False) if "demo" in line]


def test_a_python_that_the_service_cannot_see_is_refused(machine: Machine) -> None:
    hidden = {machine.places.environment: Path("/home/maker/pythons/bin/python3")}
    with pytest.raises(ServiceError, match=r"cannot see /home/maker/pythons") as told:
        _running(machine, found={"out_of_sight": hidden})
    assert "--python" in told.value.mend


def test_a_python_that_others_can_change_is_refused(machine: Machine) -> None:
    with pytest.raises(ServiceError, match="root alone can change") as told:
        _running(machine, found={"environments": frozenset(), "changeable": "/srv/python belongs to maker"})
    assert "--python /usr/bin/python3" in told.value.mend
    with pytest.raises(ServiceError, match="root alone can change") as told:
        _running(machine, found={"changeable": "/srv/python belongs to maker"})
    assert "sudo rm -r /opt/emomusic-edge/venv" in told.value.mend


def test_an_environment_without_the_program_is_refused(machine: Machine) -> None:
    with pytest.raises(ServiceError, match="no program /srv/none/bin/emomusic-edge"):
        machine.install(venv=Path("/srv/none"))


def test_a_users_own_service_needs_no_root(machine: Machine, tmp_path: Path) -> None:
    places = user_places(tmp_path / "config", tmp_path / "data", tmp_path / "cache")
    found = Found(environments=frozenset({Path("/home/me/venv")}))
    steps = install_plan(_with(machine, venv=Path("/home/me/venv")), found, places)
    assert {Path(line.split()[1]) for line in map(str, steps) if line.startswith("write")} == {
        *(places.unit, places.drop_ins / "user.conf", places.drop_ins / "environment.conf"),
        *(places.example, places.settings, places.record),
    }
    ran: list[str] = [str(step) for step in steps if isinstance(step, Run)]
    assert all("systemctl --user" in line or "/home/me/venv/bin/emomusic-edge demo" in line for line in ran)
    written: list[object] = [step for step in steps if not isinstance(step, Run)]
    carry_out(written, lambda line: None)  # type: ignore[arg-type]
    assert 'source = "auto"' in places.settings.read_text(), "the udev rule needs root"
    gone = uninstall_plan(look(places), places)
    assert places.unit in [step.path for step in gone if isinstance(step, RemoveFile)]


def _with(machine: Machine, **changes: object) -> Wish:
    return replace(machine.wish, **changes)


def _ship(monkeypatch: pytest.MonkeyPatch, texts: dict[str, str]) -> None:
    """The files of another version."""
    from emomusic_edge.installation import unit_files

    real = unit_files.packaged
    monkeypatch.setattr(unit_files, "packaged", lambda name: texts.get(name) or real(name))
