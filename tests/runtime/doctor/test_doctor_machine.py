"""The doctor at the machine: packages, ONNX Runtime, GPU, memory, disk, clock, other runs, the kernel's filter."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from broker import wait_until
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from emomusic_edge.config import MqttSettings, Settings
from emomusic_edge.cuda_probe import Gpu
from emomusic_edge.errors import ModelError
from emomusic_edge.paths import DataLayout
from emomusic_edge.runtime.doctor import (
    address_filter,
    clock,
    config,
    disk,
    gpu,
    instances,
    memory,
    onnx_runtime,
    packages,
    processes,
)
from emomusic_edge.runtime.doctor.finding import Finding, Level
from emomusic_edge.runtime.doctor.processes import Process
from emomusic_edge.runtime.doctor.setup import Setup, setup_of
from emomusic_edge.runtime.instance_lock import only_run

DEFAULTS = Setup(Settings())


def told(**answers: str) -> Callable[[Sequence[str]], str | None]:
    """Commands that answer, by name; others are not here."""
    return lambda command: answers.get(command[0].replace("-", "_"))


def levels(findings: Sequence[Finding]) -> dict[str, Level]:
    return {finding.name: finding.level for finding in findings}


def write(root: Path, **files: str) -> Path:
    """Files under a root, named with `__` for `/`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


# Settings


def test_a_slip_in_the_settings_is_a_finding(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[music]\ndwel_s = 3\n")
    (found,) = config.look(setup_of(file, {}), service_config=tmp_path / "none")
    assert found.level is Level.PROBLEM
    assert "music.dwell_s" in found.found
    assert "those that fit" in found.meaning
    file.write_text("[music]\ndwell_s = 3\n")
    (found,) = config.look(setup_of(file, {}), service_config=tmp_path / "none")
    assert found.level is Level.OK
    assert found.figures["given"] == 1


def test_one_slip_hides_none_of_the_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        '[camera]\nsorce = "auto"\n[mqtt]\npassword = "sesame"\nusername = "edge"\nhost = "broker.lan"\nport = 0\n'
    )
    monkeypatch.setenv("EMOMUSIC_PATHS__DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EMOMUSIC_LOOP__FRAMES_PER_SECOND", "many")
    looked_at = setup_of(file, {"music.dwell_s": "9", "mqtt.keepalive": "1"})
    assert looked_at.error is not None
    assert looked_at.file == file
    mqtt = looked_at.settings.mqtt
    assert (mqtt.host, mqtt.port, mqtt.username) == ("broker.lan", MqttSettings().port, "edge")
    assert mqtt.password is not None
    assert looked_at.origins["mqtt.password"] == f"{file}, line 4"
    assert looked_at.settings.paths.data_dir == tmp_path / "data"
    assert looked_at.settings.music.dwell_s == 9.0


@pytest.mark.parametrize("content", [b"[mqtt\n", b"\xff\xfe", b"camera = 1\n"])
def test_a_file_that_gives_nothing_leaves_the_defaults(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    looked_at = setup_of(file, {})
    assert looked_at.error is not None
    assert looked_at.settings == Settings()


def test_whose_settings_are_looked_at_is_told(tmp_path: Path) -> None:
    write(tmp_path, service="")
    found = {one.name: one for one in config.look(DEFAULTS, service_config=tmp_path / "service")}
    assert found["service"].level is Level.WARNING
    assert found["service"].mend.endswith("emomusic-edge service do doctor")


# Python and packages

NEEDS = ["numpy>=1.26", "onnxruntime<1.29,>=1.23.2", 'tomli>=2; python_version < "3.11"', "typer>=0.19"]


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ({"numpy": "2.2.6", "onnxruntime": "1.28.0", "typer": "0.20.1"}, None),
        ({"numpy": "2.2.6", "onnxruntime-gpu": "1.23.2", "typer": "0.20"}, None),
        ({"numpy": "1.26", "onnxruntime": "1.28.1", "typer": "0.19.0"}, None),
        ({"numpy": "1.9", "onnxruntime": "1.28.0", "typer": "0.19"}, "numpy is 1.9, needed is >=1.26"),
        (
            {"numpy": "2.0", "onnxruntime": "1.29.0", "typer": "0.19"},
            "onnxruntime is 1.29.0, needed is <1.29, >=1.23.2",
        ),
        ({"numpy": "2.0", "onnxruntime": "1.28.0"}, "missing: typer"),
    ],
)
def test_packages_are_held_to_their_bounds(installed: dict[str, str], words: str | None) -> None:
    found = list(packages.look(DEFAULTS, python=(3, 12), requirements=NEEDS, version_of=installed.get))
    assert found[1].level is (Level.OK if words is None else Level.PROBLEM)
    assert (words or "and the 4 packages") in found[1].found


def test_what_only_an_older_python_needs_is_asked_of_that_alone() -> None:
    have = {"numpy": "2", "onnxruntime": "1.28", "typer": "1"}
    found = list(packages.look(DEFAULTS, python=(3, 10), requirements=NEEDS, version_of=have.get))
    assert "missing: tomli" in found[1].found
    assert levels(list(packages.look(DEFAULTS, python=(3, 9), requirements=[]))) == {
        "python": Level.WARNING,
        "packages": Level.WARNING,
    }


VERSION = st.lists(st.integers(0, 40), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))


@given(VERSION, VERSION, VERSION)
def test_bounds_are_kept_as_packaging_keeps_them(version: str, low: str, high: str) -> None:
    bounds = f"<{high},>={low}"
    assert packages.fits(version, bounds) is SpecifierSet(bounds).contains(version)


def test_this_environment_is_whole() -> None:
    assert levels(list(packages.look(DEFAULTS))) == {"python": Level.OK, "packages": Level.OK}


# ONNX Runtime


def ort(version: str, *providers: str) -> Callable[[], SimpleNamespace]:
    module = SimpleNamespace(
        __version__=version, __file__="/venv/onnxruntime/__init__.py", get_available_providers=lambda: list(providers)
    )
    return lambda: module


def test_the_one_that_is_installed_is_told_with_its_place() -> None:
    found = {one.name: one for one in onnx_runtime.look(DEFAULTS)}
    assert {one.level for one in found.values()} == {Level.OK}
    import onnxruntime

    assert found["loaded"].figures["path"] == onnxruntime.__file__
    assert found["loaded"].figures["distributions"] == [f"onnxruntime {onnxruntime.__version__}"]


def test_two_distributions_of_one_module_are_a_trap() -> None:
    both = {"onnxruntime": "1.28.0", "onnxruntime-gpu": "1.23.2"}
    found = {one.name: one for one in onnx_runtime.look(DEFAULTS, distributions=lambda: both)}
    assert found["distributions"].level is Level.PROBLEM
    assert "pip uninstall --yes onnxruntime onnxruntime-gpu" in found["distributions"].mend
    assert found["distributions"].mend.endswith("pip install 'onnxruntime-gpu==1.23.2'")


def test_distributions_are_told_by_what_they_bring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two wheels with the same module, and one that only begins with its name."""
    for name, module in (("onnxruntime_gpu", "onnxruntime"), ("onnxruntime_extensions", "onnxruntime_extensions")):
        info = tmp_path / f"{name}-1.23.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.23.2\n")
        (info / "RECORD").write_text(f"{module}/__init__.py,,\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert set(onnx_runtime.providing_distributions()) == {"onnxruntime", "onnxruntime-gpu"}


@pytest.mark.parametrize(
    ("version", "switch", "level"),
    [("1.28.0", "1", Level.OK), ("1.31.1", "1", Level.WARNING), ("1.28.0", "", Level.PROBLEM)],
)
def test_telemetry(version: str, switch: str, level: Level) -> None:
    load = ort(version, "CPUExecutionProvider")
    found = {one.name: one for one in onnx_runtime.look(DEFAULTS, load=load, environ={"ORT_DISABLE_TELEMETRY": switch})}
    assert found["telemetry"].level is level


def test_cuda_that_was_asked_for_and_is_not_built_in() -> None:
    cuda = Setup(Settings.model_validate({"models": {"engine": "cuda"}}))
    found = {one.name: one for one in onnx_runtime.look(cuda, load=ort("1.28.0", "CPUExecutionProvider"))}
    assert found["providers"].level is Level.WARNING


def test_one_that_does_not_load() -> None:
    def load() -> object:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    found = list(onnx_runtime.look(DEFAULTS, load=load))
    assert levels(found) == {"loaded": Level.PROBLEM}
    assert "libcudart" in found[0].found


# GPU and board

ORIN = Gpu("Orin", 8, "8.7", "12.6", "36.4.3")
RELEASE = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"


def test_a_board_as_it_should_be(tmp_path: Path) -> None:
    write(tmp_path, etc__nv_tegra_release=RELEASE)
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    found = {
        one.name: one
        for one in gpu.look(
            DEFAULTS,
            probe=lambda: ORIN,
            tensorrt=lambda: SimpleNamespace(__version__="10.3.0"),
            told=told(dpkg_query="6.2+b77", nvpmodel="NV Power Mode: 15W\n0"),
            root=tmp_path,
        )
    }
    assert "Orin Nano Developer Kit, L4T 36.4.3, JetPack 6.2+b77" in found["board"].found
    assert found["power"].figures["mode"] == "15W"
    assert "a faster one" in found["power"].meaning
    assert found["cuda"].figures["compute_capability"] == "8.7"
    assert found["tensorrt"].figures["version"] == "10.3.0"


def test_a_board_without_jetpack(tmp_path: Path) -> None:
    def missing() -> object:
        raise ModelError("TensorRT's Python bindings are not in this environment", mend="make another one")

    write(tmp_path, etc__nv_tegra_release=RELEASE)
    found = list(gpu.look(DEFAULTS, probe=lambda: ORIN, tensorrt=missing, told=told(), root=tmp_path))
    assert levels(found) == {
        "board": Level.WARNING,
        "power": Level.WARNING,
        "cuda": Level.OK,
        "tensorrt": Level.WARNING,
    }


@pytest.mark.parametrize(("engine", "level"), [("auto", Level.OK), ("cpu", Level.OK), ("tensorrt", Level.WARNING)])
def test_no_gpu(engine: str, level: Level, tmp_path: Path) -> None:
    def never() -> object:
        raise AssertionError("TensorRT ends the process where there is no driver")

    wanted = Setup(Settings.model_validate({"models": {"engine": engine}}))
    found = list(gpu.look(wanted, probe=lambda: "no NVIDIA driver was found", tensorrt=never, root=tmp_path))
    assert levels(found) == {"cuda": level}


# Memory, disk, clock

SWAPS = "Filename Type Size Used Priority\n"


@pytest.mark.parametrize(
    ("free_kb", "swaps", "jetson", "expected"),
    [
        (4_000_000, SWAPS, False, {"ram": Level.OK, "swap": Level.OK}),
        (100_000, SWAPS, False, {"ram": Level.WARNING, "swap": Level.OK}),
        (4_000_000, SWAPS, True, {"ram": Level.OK, "swap": Level.WARNING}),
        (4_000_000, SWAPS + "/dev/zram0 partition 635124 0 5\n", True, {"ram": Level.OK, "swap": Level.OK}),
    ],
)
def test_memory(free_kb: int, swaps: str, jetson: bool, expected: dict[str, Level], tmp_path: Path) -> None:
    meminfo = f"MemTotal:        7800000 kB\nMemFree: 12 kB\nMemAvailable:   {free_kb} kB\n"
    write(tmp_path, proc__meminfo=meminfo, proc__swaps=swaps, **({"etc__nv_tegra_release": RELEASE} if jetson else {}))
    assert levels(list(memory.look(DEFAULTS, tmp_path))) == expected


def test_swap_on_a_disk_is_told_with_who_keeps_out_of_it(tmp_path: Path) -> None:
    write(tmp_path, proc__meminfo="", proc__swaps=SWAPS + "/swapfile file 2097148 0 -2\n")
    ram, swap = memory.look(DEFAULTS, tmp_path)
    assert ram.level is Level.WARNING
    assert swap.figures["on_disk"] == ["/swapfile"]


def folders(folder: Path) -> Setup:
    return Setup(Settings.model_validate({"paths": {"data_dir": folder / "data", "cache_dir": folder / "cache"}}))


def test_folders_that_are_there_or_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data, cache = disk.look(folders(tmp_path))
    assert (data.level, cache.level) == (Level.OK, Level.OK)
    assert "can be made" in cache.found
    assert not list((tmp_path / "data").iterdir())
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_folder_that_takes_nothing(number: int, tmp_path: Path) -> None:
    def refuse(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    for found in disk.look(folders(tmp_path), refuse):
        assert found.level is Level.PROBLEM
        assert os.strerror(number) in found.found
        assert found.mend


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    assert levels(list(disk.look(folders(tmp_path)))) == {"data": Level.PROBLEM, "cache": Level.OK}


def test_a_device_that_is_full() -> None:
    """A real one: /dev/full takes no byte."""

    def into_full(_: Path) -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x")

    assert {one.level for one in disk.look(folders(Path("/tmp")), into_full)} == {Level.PROBLEM}


@pytest.mark.parametrize(
    ("now_s", "follows", "level"),
    [
        (1_800_000_000.0, True, Level.OK),
        (1_800_000_000.0, None, Level.OK),
        (1_800_000_000.0, False, Level.WARNING),
        (0.0, True, Level.PROBLEM),
    ],
)
def test_the_clock(now_s: float, follows: bool | None, level: Level) -> None:
    (found,) = clock.look(DEFAULTS, now_s=lambda: now_s, installed_s=lambda: 1_795_000_000.0, follows=lambda: follows)
    assert found.level is level


def test_what_a_wrong_clock_means_depends_on_tls() -> None:
    encrypted = Setup(Settings.model_validate({"mqtt": {"host": "broker.example"}}))
    for setup, words in ((encrypted, "certificate is then refused"), (DEFAULTS, "wrong dates")):
        (found,) = clock.look(setup, now_s=lambda: 0.0, follows=lambda: True)
        assert words in found.meaning


def test_the_kernel_answers_about_its_clock() -> None:
    assert clock.synchronised() in (True, False)


# Other runs


# It holds a file, and so does a child of it, which is no run of its own.
LOOKS_LIKE_A_RUN = """
import subprocess, sys
kept = open(sys.argv[-1])
child = [sys.executable, "-c", "import sys; kept = open(sys.argv[1]); sys.stdin.read()", sys.argv[-1]]
subprocess.run(child, stdin=sys.stdin)
"""


def test_a_run_is_found_among_processes_and_nothing_else_is(tmp_path: Path) -> None:
    """Real processes: one that looks like a run, with a child; and one that only names the program."""
    program = tmp_path / "emomusic-edge"
    program.write_text(LOOKS_LIKE_A_RUN)
    held = tmp_path / "held"
    held.touch()
    arguments = (["run", str(held)], ["doctor", str(held)])
    started = [subprocess.Popen([sys.executable, str(program), *words], stdin=subprocess.PIPE) for words in arguments]
    try:
        wait_until(lambda: len(processes.holders(held)) == 4, "two and their children to hold the file")
        run, other = (process.pid for process in started)
        assert {one.pid for one in processes.runs()} & {one.pid for one in processes.holders(held)} == {run}
        of_run = [one.pid for one in processes.holders(held) if one.of_run]
        assert run in of_run
        assert other not in of_run
        assert len(of_run) == 2, "the run and what it started"
    finally:
        for process in started:
            process.communicate(b"")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("/opt/emomusic-edge/venv/bin/python", "/opt/emomusic-edge/venv/bin/emomusic-edge", "run", "--muted"), True),
        (("python3", "-m", "emomusic_edge", "demo"), True),
        (("python3", "/x/emomusic_edge/__main__.py", "run"), True),
        (("emomusic-edge", "--debug", "run"), True),
        (("emomusic-edge", "doctor"), False),
        (("sudo", "-u", "emomusic-edge", "/opt/emomusic-edge/venv/bin/emomusic-edge", "run"), False),
        (("sh", "-c", "emomusic-edge run"), False),
        (("vim", "emomusic_edge", "run"), False),
        (("grep", "run"), False),
        ((), False),
    ],
)
def test_what_a_run_looks_like(words: tuple[str, ...], expected: bool) -> None:
    assert processes.is_run(words) is expected


@pytest.mark.parametrize(("count", "level"), [(0, Level.OK), (1, Level.OK), (2, Level.PROBLEM)])
def test_runs(count: int, level: Level) -> None:
    running = [Process(100 + number, 0, ("emomusic-edge", "run")) for number in range(count)]
    (found,) = instances.look(DEFAULTS, running=lambda: running, told=told())
    assert found.level is level
    assert found.figures["pids"] == [str(one.pid) for one in running]


def test_who_has_the_data_folder(tmp_path: Path) -> None:
    setup = Setup(Settings.model_validate({"paths": {"data_dir": tmp_path}}))
    with only_run(DataLayout(tmp_path).run_lock):
        _, found = instances.look(setup, running=lambda: [], told=told())
    assert found.level is Level.OK
    assert found.figures["pid"] == os.getpid()
    (only,) = instances.look(setup, running=lambda: [], told=told())
    assert only.name == "runs"


@pytest.mark.parametrize(
    ("state", "level"),
    [
        ("LoadState=not-found\nActiveState=inactive\nResult=success\nNRestarts=0", None),
        ("LoadState=loaded\nActiveState=active\nResult=success\nNRestarts=0", Level.OK),
        ("LoadState=loaded\nActiveState=active\nResult=success\nNRestarts=3", Level.WARNING),
        ("LoadState=loaded\nActiveState=failed\nResult=exit-code\nNRestarts=5", Level.PROBLEM),
    ],
)
def test_the_service(state: str, level: Level | None) -> None:
    found = levels(list(instances.look(DEFAULTS, running=lambda: [], told=told(systemctl=state))))
    assert found.get("service") is level


def test_what_the_service_says_of_itself_and_that_its_walls_are_not_here(monkeypatch: pytest.MonkeyPatch) -> None:
    state = "LoadState=loaded\nActiveState=active\nResult=success\nNRestarts=0\n"
    state += "StatusText=9.9 frames a second; models: the GPU failed"

    def look() -> dict[str, Finding]:
        found = instances.look(DEFAULTS, running=lambda: [], told=told(systemctl=state))
        return {one.name: one for one in found}

    assert "models: the GPU failed" in look()["service"].found
    assert "walls" not in look()
    monkeypatch.setattr(instances, "user_name", lambda _: "emomusic-edge")
    assert "may still be closed to the service" in look()["walls"].meaning


# The kernel's filter


@pytest.mark.parametrize(
    ("options", "unified", "level"),
    [
        ("CONFIG_BPF_SYSCALL=y\nCONFIG_CGROUP_BPF=y\n", True, Level.OK),
        ("CONFIG_BPF_SYSCALL=y\n# CONFIG_CGROUP_BPF is not set\n", True, Level.WARNING),
        ("CONFIG_BPF_SYSCALL=y\nCONFIG_CGROUP_BPF=y\n", False, Level.WARNING),
        (None, True, Level.WARNING),
    ],
)
@pytest.mark.parametrize("packed", [True, False])
def test_the_filter(options: str | None, unified: bool, level: Level, packed: bool, tmp_path: Path) -> None:
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    if options is not None and packed:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/config.gz").write_bytes(gzip.compress(options.encode()))
    elif options is not None:
        (tmp_path / "boot").mkdir()
        (tmp_path / "boot/config-5.15.148-tegra").write_text(options)
    if unified:
        write(tmp_path, **{"sys__fs__cgroup__cgroup.controllers": "cpu"})
    (found,) = address_filter.look(
        DEFAULTS, told=told(systemctl="systemd 249 (249.11)"), root=tmp_path, release="5.15.148-tegra"
    )
    assert found.level is level
    if "not set" in (options or ""):
        assert found.figures["lacking"] == ["CONFIG_CGROUP_BPF"]
        assert "DevicePolicy" in found.meaning
        # Beside the first version of control groups that one keeps the list.
        beside = tmp_path / "sys/fs/cgroup"
        (beside / "unified").mkdir()
        (beside / "cgroup.controllers").rename(beside / "unified/cgroup.controllers")
        (again,) = address_filter.look(DEFAULTS, told=told(), root=tmp_path, release="5.15.148-tegra")
        assert again.figures["device_list"] is True
        assert "DevicePolicy" not in again.meaning


def test_without_systemd_there_is_nothing_to_filter(tmp_path: Path) -> None:
    (found,) = address_filter.look(DEFAULTS, root=tmp_path)
    assert found.level is Level.OK
