"""The unit and its drop-ins, judged by systemd's own tools, as they are installed."""

from __future__ import annotations

import configparser
import fnmatch
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from fake_root import ENVIRONMENT, Machine
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from emomusic_edge.installation import ServiceError, service_state
from emomusic_edge.installation.unit_files import packaged, quoted

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed (make systemd-analyze)"
)

DROP_INS = [{}, {"jetson": True}, {"private_network": True}, {"jetson": True, "private_network": True}]


def _analyze(verb: str, root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    line = ["systemd-analyze", verb, *options, f"--root={root}", "emomusic-edge.service"]
    return subprocess.run(line, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"})


@needs_systemd
@pytest.mark.parametrize("chosen", DROP_INS, ids=str)
def test_systemd_finds_no_fault(machine: Machine, chosen: dict[str, bool]) -> None:
    machine.install(**chosen)
    told = _analyze("verify", machine.root, "--recursive-errors=no")
    assert (told.returncode, told.stderr) == (0, "")


@needs_systemd
def test_a_fault_would_be_found(machine: Machine) -> None:
    machine.install()
    unit = machine.here(machine.places.unit)
    unit.write_text(unit.read_text().replace("WatchdogSec=30", "WatchdogSec=soon"))
    assert _analyze("verify", machine.root, "--recursive-errors=no").returncode != 0


@needs_systemd
@pytest.mark.parametrize(
    ("chosen", "threshold"), [({}, 15), ({"jetson": True}, 15), ({"private_network": True}, 8)], ids=str
)
def test_it_is_exposed_to_no_more_than(machine: Machine, chosen: dict[str, bool], threshold: int) -> None:
    """In tenths, as systemd counts; a unit without walls has 96."""
    machine.install(**chosen)
    told = _analyze("security", machine.root, "--offline=true", f"--threshold={threshold}")
    assert told.returncode == 0, told.stdout


@needs_systemd
def test_a_users_own_service_is_sound_too(tmp_path: Path, machine: Machine) -> None:
    folder = tmp_path / "user"
    (folder / "emomusic-edge.service.d").mkdir(parents=True)
    program = str(machine.here(ENVIRONMENT / "bin" / "emomusic-edge"))
    (folder / "emomusic-edge.service").write_text(
        packaged("emomusic-edge.service").replace("/opt/emomusic-edge/venv/bin/emomusic-edge", program)
    )
    (folder / "emomusic-edge.service.d" / "user.conf").write_text(packaged("user.conf"))
    told = subprocess.run(
        ["systemd-analyze", "verify", "--user", "--recursive-errors=no", str(folder / "emomusic-edge.service")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
    )
    assert (told.returncode, told.stderr) == (0, "")


@needs_systemd
@pytest.mark.skipif(os.geteuid() != 0, reason="systemd-sysusers and systemd-tmpfiles give files to other users")
def test_the_account_and_the_folders_are_made(machine: Machine) -> None:
    machine.install()
    for line in machine.ran:
        done = subprocess.run(line, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    groups = dict(line.split(":", 1) for line in machine.text(Path("/etc/group")).splitlines())
    assert all(groups[name].endswith(":emomusic-edge") for name in ("video", "audio", "render"))
    account = next(row for row in machine.text(Path("/etc/passwd")).splitlines() if row.startswith("emomusic-edge:"))
    assert account.split(":")[5:] == ["/var/lib/emomusic-edge", "/usr/sbin/nologin"]
    uid = int(account.split(":")[2])
    for folder in (machine.places.state, machine.places.cache):
        found = machine.here(folder).stat()
        assert (found.st_uid, found.st_mode & 0o777) == (uid, 0o700)
    settings_file = machine.here(machine.places.settings).stat()
    assert (settings_file.st_uid, settings_file.st_mode & 0o777) == (0, 0o640)
    assert machine.here(Path("/etc/systemd/system/multi-user.target.wants/emomusic-edge.service")).is_symlink()


def test_restarts_are_limited_in_the_section_that_counts() -> None:
    """Limits in [Service] are ignored by systemd since 230, with a line in a journal that nobody reads."""
    unit = configparser.RawConfigParser(strict=False)
    unit.read_string(packaged("emomusic-edge.service"))
    assert {"startlimitintervalsec", "startlimitburst"} <= set(unit["Unit"])
    assert not [name for name in unit["Service"] if name.startswith("startlimit")]
    assert unit["Service"]["restart"] == "on-failure"
    assert unit["Service"]["restartpreventexitstatus"] == "75"
    assert unit["Service"]["restartsec"] == "1", "killed, it is back within five seconds"
    # A disk that is two minutes late is lived through where a start takes a second; a loop of a minute a turn ends.
    burst, interval_s = int(unit["Unit"]["startlimitburst"]), int(unit["Unit"]["startlimitintervalsec"])
    assert burst * 2 >= 120
    assert interval_s / burst >= 60
    assert burst == service_state._STARTS_AT_MOST


def test_what_cuda_and_the_sound_card_need_is_left_open() -> None:
    unit = re.sub(r"^#.*$", "", packaged("emomusic-edge.service"), flags=re.MULTILINE)
    for wall in ("MemoryDenyWriteExecute", "PrivateDevices", "PrivateIPC", "ProcSubset"):
        assert wall not in unit


# What CUDA opens on a Jetson with JetPack 6: nvgpu's own list of nodes (ioctl.c, in both of its spellings), and what a
# trace of CUDA's start on an Orin and Ubuntu's list of an iGPU's nodes name beside them.
NVGPU = ("power", "as", "channel", "ctrl", "ctxsw", "dbg", "prof", "prof-ctx", "prof-dev", "sched", "nvsched", "tsg")
JETPACK_6 = (
    *("/dev/nvmap", "/dev/host1x-fence"),
    *(f"/dev/nvgpu/igpu0/{name}" for name in (*NVGPU, "nvsched_ctrl_fifo")),
    *(f"/dev/nvhost-{name}-gpu" for name in (*NVGPU, "nvsched_ctrl_fifo") if name != "channel"),
    "/dev/nvhost-gpu",
)


def _allowed(*names: str) -> set[str]:
    return {word for name in names for word in re.findall(r"^DeviceAllow=(\S+) rw$", packaged(name), re.MULTILINE)}


def test_a_jetsons_gpu_may_be_opened() -> None:
    assert set(JETPACK_6) <= _allowed("jetson.conf")
    # /dev/dri/renderD128 is opened too.
    assert "char-drm" in _allowed("emomusic-edge.service")


@pytest.mark.parametrize("group", ["host1x-fence", "nvmap", "17000000.gpu", "17000000.ga10b", "nvidia", "nvidia-uvm"])
def test_a_node_that_comes_later_is_let_in_by_its_drivers_group(group: str) -> None:
    allowed = _allowed("jetson.conf", "emomusic-edge.service")
    assert any(fnmatch.fnmatchcase(f"char-{group}", pattern) for pattern in allowed)


@pytest.mark.parametrize(
    ("name", "modules"),
    [
        ("emomusic-edge.service", ["videodev", "snd", "drm"]),
        ("jetson.conf", ["nvmap", "host1x_fence", "nvgpu", "nvidia_uvm"]),
    ],
)
def test_the_drivers_come_before_their_groups_are_looked_up(name: str, modules: list[str]) -> None:
    units = [f"modprobe@{module}.service" for module in modules]
    for word in ("Wants", "After"):
        lines = re.findall(rf"^{word}=(.*)$", packaged(name), re.MULTILINE)
        assert units in [line.split() for line in lines], "by Wants=: a module that is not there must not stop it"


# Any path in a unit file


paths = st.lists(
    st.text(
        st.characters(min_codepoint=1, blacklist_categories=("Cs",), blacklist_characters="/"), min_size=1, max_size=8
    ),
    min_size=1,
    max_size=3,
).map(lambda parts: Path("/srv").joinpath(*parts))


@needs_systemd
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(path=paths)
def test_systemd_reads_a_quoted_path_as_it_was_meant(path: Path, tmp_path: Path) -> None:
    """systemd-analyze names the program that it does not find."""
    assume(".." not in path.parts)
    try:
        word = quoted(path)
    except ServiceError:
        text = str(path)
        assert re.search(r"""["'$\\]""", text) or not text.isprintable()
        return
    unit = tmp_path / "x.service"
    unit.write_text(f"[Service]\nExecStart={word}\n")
    told = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(unit)],
        capture_output=True,
        check=False,
        env={**os.environ, "LC_ALL": "C.UTF-8"},
    )
    assert f"Command {path} is not executable" in told.stderr.decode()


@pytest.mark.parametrize("path", ["relative/bin", "/srv/a\nb", "/srv/$HOME", '/srv/a"b', "/srv/a'b", "/srv/a\\b"])
def test_a_path_that_a_unit_cannot_hold_is_refused(path: str) -> None:
    with pytest.raises(ServiceError, match="cannot stand in a unit file"):
        quoted(Path(path))
