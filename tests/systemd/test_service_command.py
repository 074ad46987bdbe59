"""`emomusic-edge service` as it is typed."""

from __future__ import annotations

import dataclasses
import json
import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from fake_root import ENVIRONMENT, Machine

from emomusic_edge import own_source
from emomusic_edge.cli import main
from emomusic_edge.installation import ServiceError, as_service, source_of, system_places
from emomusic_edge.installation.environment_steps import named


def run(*words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["service", *words])
    told = capsys.readouterr()
    code = ended.value.code
    return int(code) if code is not None else 0, told.out, told.err


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand-ins for the programs of systemd, which write down how they were called."""
    folder, log = tmp_path / "bin", tmp_path / "calls"
    folder.mkdir()
    for name in ("systemctl", "systemd-sysusers", "systemd-tmpfiles"):
        (folder / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{log}\n')
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    log.touch()
    return log


def test_a_dry_run_names_every_file_and_command_and_changes_nothing(
    machine: Machine, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = machine.files()
    code, out, _ = run("install", "--dry-run", "--root", str(machine.root), "--venv", str(ENVIRONMENT), capsys=capsys)
    assert code == 0
    assert machine.files() == before
    assert calls.read_text() == ""
    told = out.splitlines()
    code, out, _ = run(
        *("install", "--root", str(machine.root), "--venv", str(ENVIRONMENT), "--i-have-read-the-privacy-page"),
        capsys=capsys,
    )
    assert code == 0
    assert told[0].startswith("ask ")
    assert [line for line in out.splitlines() if line.startswith(("folder", "write", "run", "keep"))] == told[1:], (
        "it does what the dry run said"
    )
    written = {Path(line.split()[1]) for line in told if line.startswith("write")}
    assert {machine.here(path) for path in written} == {
        machine.root / name for name in machine.files() if not name.startswith("opt/")
    }
    commands = [line.split(maxsplit=1)[1] for line in told if line.startswith("run ")]
    assert calls.read_text().splitlines() == commands


def test_it_asks_once_and_remembers_the_answer(
    machine: Machine, calls: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ("install", "--root", str(machine.root), "--venv", str(ENVIRONMENT))
    code, out, err = run(*line, capsys=capsys)
    assert code == 1
    assert "AI Act, Article 5(1)(f)" in out
    assert "--i-have-read-the-privacy-page" in err
    assert not machine.here(machine.places.unit).exists()
    assert run(*line, "--i-have-read-the-privacy-page", capsys=capsys)[0] == 0
    code, out, _ = run(*line, capsys=capsys)
    assert code == 0
    assert "AI Act" not in out


def test_uninstall_keeps_the_settings(machine: Machine, calls: Path, capsys: pytest.CaptureFixture[str]) -> None:
    machine.install()
    code, out, _ = run("uninstall", "--root", str(machine.root), capsys=capsys)
    assert code == 0
    assert "keep     /etc/emomusic-edge" in out
    assert machine.here(machine.places.settings).exists()
    assert not machine.here(machine.places.unit).exists()
    code, _, err = run("uninstall", "--root", str(machine.root), capsys=capsys)
    assert code == 1
    assert "Nothing to take away" in err


def test_without_root_the_line_with_sudo_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    program = tmp_path / "bin" / "emomusic-edge"
    program.parent.mkdir()
    program.touch()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(sys, "argv", [str(program), "service", "install", "--venv", str(tmp_path)])
    places = Machine(tmp_path / "root").places
    monkeypatch.setattr("emomusic_edge.cli.service._places", lambda **_: places)
    monkeypatch.setattr("emomusic_edge.installation.machine._HIDDEN", ())
    monkeypatch.setattr("emomusic_edge.installation.machine.changeable_environment", lambda *_, **__: "")
    code, out, err = run("install", "--venv", str(tmp_path), capsys=capsys)
    assert code == 1
    assert f"sudo {program} service install --venv {tmp_path}" in err
    assert out == ""


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd runs this machine")
@pytest.mark.parametrize("verb", ["status", "logs"])
def test_without_systemd_it_says_so(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(verb, capsys=capsys)
    assert code == 1
    assert "systemd does not run this machine" in err
    assert "emomusic-edge run" in err


def test_status_tells_and_ends_with_whether_it_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}

    def show(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        if line[0] == "journalctl":
            return subprocess.CompletedProcess(line, 0, "emomusic-edge.service: Failed with result 'watchdog'.\n", "")
        assert line[:3] == ["systemctl", "show", "emomusic-edge.service"]
        return subprocess.CompletedProcess(line, 0, "".join(f"{name}={value}\n" for name, value in told.items()), "")

    monkeypatch.setattr("emomusic_edge.cli.service._need_systemd", lambda user: None)
    monkeypatch.setattr(subprocess, "run", show)
    assert run("status", capsys=capsys)[:2] == (0, "service   running\nat boot   started\n")
    assert json.loads(run("status", "--json", capsys=capsys)[1]) == told
    told["NRestarts"] = "1"
    assert "the last time because it stopped making progress" in run("status", capsys=capsys)[1]
    told["ActiveState"] = "inactive"
    code, out, _ = run("status", capsys=capsys)
    assert code == 1
    assert "to do     sudo systemctl start emomusic-edge" in out


def test_logs_ask_the_journal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[list[str]] = []
    shown = "a line"

    def journal(line: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        lines.append(line)
        return subprocess.CompletedProcess(line, 0, shown, "")

    monkeypatch.setattr("emomusic_edge.cli.service._need_systemd", lambda user: None)
    monkeypatch.setattr(subprocess, "run", journal)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _, err = run("logs", "-n", "7", "--follow", capsys=capsys)
    assert (code, err) == (0, "")
    assert lines[-1][-5:-3] == ["--unit", "emomusic-edge.service"]
    assert {"journalctl", "--lines=7", "--follow", "--no-pager"} <= set(lines[-1])
    shown = ""
    _, _, err = run("logs", capsys=capsys)
    assert "The journal shows nothing of it to this user." in err
    assert "usermod -aG adm" in err


def test_root_and_user_do_not_go_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("install", "--user", "--root", str(tmp_path), "--dry-run", capsys=capsys)
    assert code == 1
    assert "do not go together" in err


# Where the package comes from


def test_a_checkout_is_installed_from_its_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(own_source, "came_from", lambda: tmp_path)
    assert (source_of().package, source_of().requirement) == (str(tmp_path), f"{tmp_path}[starter]")
    monkeypatch.setattr(own_source, "came_from", lambda: None)
    assert source_of().requirement.startswith("emomusic-edge[starter]==")
    assert source_of().package.startswith("emomusic-edge==")


def test_what_the_package_needs_is_known_one_by_one() -> None:
    needs = [named(one) for one in source_of().needs]
    assert {"numpy", "onnxruntime", "tomli", "onnx", "pyloudnorm"} <= set(needs)
    assert not {"torch", "pytest", "cuda-bindings", "matplotlib"} & set(needs)
    assert not [one for one in source_of().needs if "extra" in one]


def test_a_folder_of_wheels_must_hold_this_version(tmp_path: Path) -> None:
    (tmp_path / "emomusic_edge-99.0-py3-none-any.whl").touch()
    with pytest.raises(ServiceError, match="no wheel of emomusic-edge") as told:
        source_of(tmp_path)
    assert "pip wheel" in told.value.mend


# As the service


def test_a_command_is_done_with_the_services_user_settings_folders_and_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, seen = tmp_path / "etc" / "emomusic-edge", tmp_path / "seen"
    config.mkdir(parents=True)
    (config / "mqtt-password").write_text("sesame\n")
    (config / "mqtt-password").chmod(0o600)
    places = dataclasses.replace(system_places(), config=config)
    monkeypatch.setattr(as_service, "_RUN", tmp_path)
    monkeypatch.setattr(as_service.pwd, "getpwnam", lambda _: pwd.getpwuid(os.getuid()))
    runuser = tmp_path / "bin" / "runuser"
    runuser.parent.mkdir()
    # What comes behind -u USER -- is done as it stands.
    runuser.write_text(f'#!/bin/sh\necho "$@" >>{seen}\nshift 3\nexec "$@"\n')
    runuser.chmod(0o755)
    program = tmp_path / "venv" / "bin" / "emomusic-edge"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!/bin/sh\nenv >>{seen}; stat -c %a $CREDENTIALS_DIRECTORY/* >>{seen}\nexit 7\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(runuser.parent), prepend=os.pathsep)
    monkeypatch.setenv("A_TOKEN", "of root's own")
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.setenv("https_proxy", "http://me:word@proxy.example:3128")

    assert as_service.run_as_service(places, tmp_path / "venv", ["doctor", "--json"]) == 7
    told = seen.read_text()
    assert told.startswith("-u emomusic-edge -- env -i ")
    assert "/emomusic-edge doctor --json" in told.splitlines()[0]
    assert "sesame" not in told
    lines = dict(line.split("=", 1) for line in told.splitlines()[1:] if "=" in line)
    assert lines["EMOMUSIC_PATHS__DATA_DIR"] == lines["HOME"] == "/var/lib/emomusic-edge"
    assert lines["XDG_CONFIG_HOME"] == str(config.parent)
    assert lines["LANG"] == "C.UTF-8"
    assert lines["PATH"] == "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
    assert not {"A_TOKEN", "https_proxy"} & set(lines), "nothing of root's environment but what it needs"
    assert told.splitlines()[-1] == "400"
    assert not Path(lines["CREDENTIALS_DIRECTORY"]).exists()


def test_without_a_service_there_is_nobody_to_do_it(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run("do", capsys=capsys)
    assert code == 2
    assert "found no command" in err
    if os.geteuid() == 0 and not system_places().record.exists():
        code, _, err = run("do", "doctor", "--only", "config", capsys=capsys)
        assert code == 1
        assert "The service is not installed" in err
