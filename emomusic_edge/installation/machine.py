"""What the machine has of an installation: files, environments, the service manager. Changes nothing."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from emomusic_edge.artefacts import sha256_of
from emomusic_edge.cuda_probe import TEGRA_RELEASE
from emomusic_edge.installation.environment_state import other_onnxruntime, pins_for
from emomusic_edge.installation.errors import ServiceError
from emomusic_edge.installation.ownership import changeable, changeable_environment
from emomusic_edge.installation.places import SERVICE, Places
from emomusic_edge.installation.plan import Found, environment_of, possible_files
from emomusic_edge.installation.record import InstallRecord, parse_record
from emomusic_edge.manifest import MANIFEST_NAME
from emomusic_edge.paths import DataLayout

# systemd's own test of whether it runs the machine, sd_booted(3).
_BOOTED = Path("/run/systemd/system")
# What ProtectHome= hides, systemd.exec(5).
_HIDDEN = ("/home", "/root", "/run/user")


def look(places: Places, *, root: Path | None = None, venv: Path | None = None, python: Path | None = None) -> Found:
    """See what there is.

    Args:
        places: of the system service, or a user's.
        root: look at the system below this folder.
        venv: the environment that is named; None looks at the one of the last time, or where one is made.
        python: what would make an environment.

    Raises:
        ServiceError: a record that cannot be read, or a folder that leads out of the root.
    """
    record = _record(places, root)
    environment = environment_of(venv, record, places)
    sha256: dict[Path, str] = {}
    odd: dict[Path, str] = {}
    copies: dict[Path, Path] = {}
    for path in possible_files(places):
        here = below(root, path)
        what = _kind(here)
        if what == "file":
            sha256[path] = sha256_of(here)
            copies[path] = _free_copy(path, root)
        elif what:
            odd[path] = what
    # Its owner's, whatever it is: a link to a file elsewhere is as good.
    if os.path.lexists(below(root, places.settings)):
        sha256[places.settings] = ""
    program = below(root, environment) / "bin" / SERVICE
    own = environment / "bin" / "python"
    maker = changeable(python) if python is not None and not program.is_file() else ""
    hidden = _hidden(environment, root, python)
    return Found(
        record=record,
        sha256=sha256,
        odd=odd,
        copies=copies,
        environments=frozenset({environment} if program.is_file() else ()),
        changeable=changeable_environment(environment, root=root) or maker,
        pins=pins_for(own if own.exists() else python) if root is None and python is not None else "",
        onnxruntime=other_onnxruntime(below(root, environment)),
        out_of_sight={environment: hidden} if hidden is not None else {},
        booted=root is None and _is_booted(places),
        jetson=below(root, TEGRA_RELEASE).exists(),
        starter=_has_starter_set(below(root, places.state)),
        account=_has_account(root),
    )


def below(root: Path | None, path: Path) -> Path:
    """Where a path of the system lies. A link at its very end is not followed: see `plain`.

    Raises:
        ServiceError: a link on the way leads out of the root.
    """
    if root is None:
        return path
    place = root / path.relative_to("/")
    if not place.parent.resolve().is_relative_to(root.resolve()):
        raise ServiceError(
            f"{place} leads out of {root}, to {place.parent.resolve()}.", mend="Make the links in it relative ones."
        )
    return place


def plain(root: Path | None, path: Path) -> Path:
    """Where a file of the installer's own lies, which is read and written as it stands.

    Raises:
        ServiceError: it is a link, a folder or a device, or a link on the way leads out of the root.
    """
    place = below(root, path)
    what = _kind(place)
    if what not in ("", "file"):
        raise ServiceError(
            f"{place} is {what}, expected a file or nothing.", mend=f"Move it away: sudo mv {place} {place}.saved"
        )
    return place


def _record(places: Places, root: Path | None) -> InstallRecord:
    path = plain(root, places.record)
    try:
        return parse_record(path.read_text(encoding="utf-8"), path)
    except FileNotFoundError:
        return InstallRecord()
    except ValueError as cause:
        raise ServiceError(f"{path} is not UTF-8 text.", mend=f"Move it away: sudo mv {path} {path}.saved") from cause


def _kind(path: Path) -> str:
    """`file`, what else it is in words, or nothing where nothing is."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return ""
    if stat.S_ISLNK(mode):
        return f"a link to {path.readlink()}"
    if stat.S_ISREG(mode):
        return "file"
    return "a folder" if stat.S_ISDIR(mode) else "a device or pipe"


def _free_copy(path: Path, root: Path | None) -> Path:
    number, copy = 1, path.with_name(f"{path.name}.saved")
    while os.path.lexists(below(root, copy)):
        number += 1
        copy = path.with_name(f"{path.name}.saved-{number}")
    return copy


def _hidden(environment: Path, root: Path | None, python: Path | None) -> Path | None:
    """What of an environment a service could not see: the folder itself, or the Python that its link leads to."""
    if root is not None:
        return environment if str(environment).startswith(_HIDDEN) else None
    own = environment / "bin" / "python"
    interpreter = own if own.exists() else python
    for path in (environment.resolve(), interpreter.resolve() if interpreter is not None else None):
        if path is not None and any(path.is_relative_to(folder) for folder in _HIDDEN):
            return path
    return None


def _is_booted(places: Places) -> bool:
    if not places.user:
        return _BOOTED.is_dir()
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(runtime) and Path(runtime, "systemd", "private").exists()


def _has_starter_set(state: Path) -> bool:
    layout = DataLayout(state)
    try:
        return layout.starter_index.exists() and (layout.bundle("face-starter") / MANIFEST_NAME).exists()
    except PermissionError:
        # Only --dry-run gets here without the right to look.
        return False


def _has_account(root: Path | None) -> bool:
    try:
        accounts = plain(root, Path("/etc/passwd")).read_text(encoding="utf-8", errors="replace")
    except (OSError, ServiceError):
        return False
    return any(line.startswith(f"{SERVICE}:") for line in accounts.splitlines())
