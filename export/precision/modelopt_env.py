"""nvidia-modelopt in a folder of its own in the cache: it brings its own onnx and onnxruntime, and the user's stay.

The folder is what `pip install --target` makes of wheels pinned by their hashes, without their dependencies. A process
that is to use it gets it through PYTHONPATH; PyTorch, numpy and the rest come from the interpreter's own (the extra
`export`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.artefacts import folder_written_whole
from emomusic_edge.errors import FetchError, MissingExtraError, ModelError

MODELOPT_VERSION = "0.47.0"
REQUIREMENTS_FILE = Path(__file__).with_name("modelopt_requirements.txt")
SIZE_MB = 45

_COMPLETE = "complete"
_INSTALL_TIMEOUT_S = 900.0
_MEND = "check the network (or the mirror in pip's config), then run the export again"


@dataclass(frozen=True, slots=True)
class ModeloptEnvironment:
    """An interpreter that can import modelopt.

    Attributes:
        python: the interpreter.
        overlay: the folder that goes before its own packages; None where it has modelopt itself.
    """

    python: Path
    overlay: Path | None

    def run(self, script: Path, arguments: Sequence[str], timeout_s: float) -> str:
        """Run a script.

        Args:
            script: imports nothing of emomusic_edge.
            arguments: of the script.
            timeout_s: after this long it is ended.

        Returns:
            What it printed.

        Raises:
            MissingExtraError: a package that it imports is in neither place.
            ModelError: it failed or took too long; the message has its last line.
        """
        command = [str(self.python), str(script), *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=timeout_s, check=False, env=self._variables()
            )
        except subprocess.TimeoutExpired as cause:
            raise ModelError(f"modelopt {MODELOPT_VERSION} was not done within {timeout_s:.0f} s.") from cause
        except OSError as cause:
            raise ModelError(f"{self.python} cannot be run: {cause.strerror or cause}.") from cause
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()] or ["it gave no reason"]
            missing = [line for line in lines if "No module named" in line]
            if missing:
                raise MissingExtraError(
                    f"modelopt {MODELOPT_VERSION} cannot be imported by {self.python}: {missing[-1].strip()}.",
                    mend="pip install 'emomusic-edge[export]'",
                )
            raise ModelError(f"modelopt {MODELOPT_VERSION} failed: {lines[-1].strip()}")
        return done.stdout

    def _variables(self) -> dict[str, str]:
        variables = dict(os.environ)
        if self.overlay is not None:
            variables["PYTHONPATH"] = str(self.overlay)
        # The script's own folder holds modules of ours, which are none of its business.
        variables["PYTHONSAFEPATH"] = "1"
        # Nothing here reaches the network (tried without one); these keep it so when a version changes its mind.
        return variables | {"ORT_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "1", "POLYGRAPHY_AUTOINSTALL_DEPS": "0"}


def modelopt_environment(
    cache_dir: Path, announce: Callable[[str], None] = lambda _: None, *, python: Path | None = None
) -> ModeloptEnvironment:
    """An environment with modelopt, made on first use.

    Args:
        cache_dir: the cache's root.
        announce: told one line before the download starts.
        python: an interpreter that has modelopt and what it needs; nothing is installed then.

    Raises:
        FetchError: pip is missing or failed, or the folder cannot be written; the cache is as it was.
    """
    if python is not None:
        return ModeloptEnvironment(python, None)
    folder = overlay_folder(cache_dir)
    if not _is_complete(folder):
        announce(f"Installing nvidia-modelopt {MODELOPT_VERSION} into {folder} ({SIZE_MB} MB, once)")
        try:
            with folder_written_whole(folder) as scratch:
                _install(scratch)
                (scratch / _COMPLETE).write_text(_record(), encoding="utf-8")
        except OSError as cause:
            raise FetchError(
                f"modelopt could not be written to {folder}: {cause.strerror or cause}.",
                mend="free some space, or name another folder: EMOMUSIC_PATHS__CACHE_DIR=/some/folder",
            ) from cause
    return ModeloptEnvironment(Path(sys.executable), folder)


def overlay_folder(cache_dir: Path) -> Path:
    """Where the packages lie: compiled for one Python, so that each has its own."""
    return cache_dir / f"modelopt-{MODELOPT_VERSION}-{sys.implementation.cache_tag}"


def _record() -> str:
    return REQUIREMENTS_FILE.read_text(encoding="utf-8")


def _is_complete(folder: Path) -> bool:
    try:
        return (folder / _COMPLETE).read_text(encoding="utf-8") == _record()
    except OSError:
        return False


def _install(target: Path) -> None:
    command = [
        *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--target", str(target)),
        *("--requirement", str(REQUIREMENTS_FILE)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as cause:
        raise FetchError(f"modelopt did not arrive within {_INSTALL_TIMEOUT_S:.0f} s.", mend=_MEND) from cause
    if done.returncode != 0:
        if "No module named pip" in done.stderr:
            raise FetchError(
                f"modelopt is installed by pip, which {sys.executable} lacks.", mend=f"{sys.executable} -m ensurepip"
            )
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise FetchError(
            f"pip could not install modelopt {MODELOPT_VERSION}: {errors[-1] if errors else 'it gave no reason'}",
            mend=_MEND,
        )
