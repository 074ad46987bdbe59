"""What is fuzzed: one function for each kind of input that comes from outside, bytes in, a value or an error out."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sample_index import sample_index

from emomusic_edge.config import load_with_origins
from emomusic_edge.config.show import example_toml
from emomusic_edge.deam_index.index_file import index_bytes, read_index
from emomusic_edge.errors import EmomusicError
from emomusic_edge.manifest import MANIFEST_NAME, read_manifest
from emomusic_edge.runtime.mqtt.commands import COMMANDS, parse_command

# A page; a screen of a terminal shows two thousand.
_MAX_REFUSAL = 10_000
REPO = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Target:
    """One kind of input.

    Attributes:
        name: what it is called on the command line.
        file: where in an empty folder the input lies; empty for one that is no file.
        good: inputs that are accepted, to begin from.
        read: reads an input of this folder, or these bytes.
        words: what stands in such inputs, for mutations to put in.
    """

    name: str
    file: str
    good: Callable[[], Sequence[bytes]]
    read: Callable[[Path, bytes], object]
    words: tuple[bytes, ...] = ()

    def accepts(self, data: bytes, folder: Path) -> bool:
        """Whether the product takes the input; anything but a value and an EmomusicError is a fault.

        Args:
            data: the input.
            folder: one for this alone; nothing else may be left in it.

        Raises:
            AssertionError: something was left in the folder, or a warning was given.
            BaseException: what no user should meet.
        """
        if self.file:
            path = folder / self.file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        with warnings.catch_warnings(record=True) as spoken:
            warnings.simplefilter("always")
            try:
                self.read(folder, data)
                refusal = None
            except EmomusicError as error:
                refusal = str(error)
        assert refusal is None or 0 < len(refusal) < _MAX_REFUSAL, f"a refusal of {len(refusal)} characters"
        assert not spoken, f"it warned: {spoken[0].category.__name__}: {spoken[0].message}"
        left = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        assert left == ([self.file] if self.file else []), f"it left {left}"
        return refusal is None


def _configs() -> Sequence[bytes]:
    small = b'[mqtt]\nhost = "broker.local"\nport = 8883\n\n[music]\ndwell_s = 25.0\n[player]\nvolume = 0.5\n'
    return (small, example_toml().encode(), b"", b"[music]\n")


def _manifests() -> Sequence[bytes]:
    starter = (REPO / "models" / "scene-starter" / MANIFEST_NAME).read_bytes()
    dropout = json.loads(starter) | {
        "kind": "mc_dropout",
        "mc_dropout": {
            "p": 0.3,
            "mask_width": 5,
            "layout": [{"name": "features", "offset": 0, "width": 3}, {"name": "head", "offset": 3, "width": 2}],
        },
    }
    return (starter, json.dumps(dropout).encode())


def _commands() -> Sequence[bytes]:
    return tuple(f"{name}\n{example}".encode() for name, model in COMMANDS.items() for example in model.examples)


def _command(_: Path, data: bytes) -> object:
    name, _, payload = data.partition(b"\n")
    return parse_command(name.decode("utf-8", "replace"), payload)


def _checkpoints() -> Sequence[bytes]:
    import torch
    from safetensors.torch import save

    from emomusic_edge.export.network.clip_tower import ClipTower, ClipTowerSizes
    from emomusic_edge.export.network.regressor import AXES, AffectRegressor, HeadShape

    torch.set_num_threads(1)
    torch.manual_seed(0)
    tower = ClipTower(ClipTowerSizes(2, 1, 4, 1, 4, 4))
    state = AffectRegressor(tower, {axis: HeadShape(4, (3, 2), True) for axis in AXES}, 0.3).state_dict()
    buffers = [io.BytesIO() for _ in range(3)]
    torch.save(state, buffers[0])
    torch.save({"model": dict(state), "epoch": 3}, buffers[1])
    torch.save(state, buffers[2], _use_new_zipfile_serialization=False)
    return (*(buffer.getvalue() for buffer in buffers), save(dict(state)))


def _checkpoint(folder: Path, _: bytes) -> object:
    from emomusic_edge.export.checkpoint.load import load_checkpoint

    try:
        load_checkpoint(folder / "model.pth", "face", dropout_p=0.3)
    except EmomusicError:
        return load_checkpoint(folder / "model.pth", "scene", dropout_p=0.3)
    return None


_TEXT = (
    b"nan",
    b"inf",
    b"1e999",
    b"-0",
    b"9" * 400,
    b"\xff",
    b"\xed\xa0\x80",
    b"\0",
    "\u202e".encode(),
    b"true",
    b'""',
)

TARGETS = {
    target.name: target
    for target in (
        Target(
            "config",
            "config.toml",
            _configs,
            lambda folder, _: load_with_origins(folder / "config.toml", environ={}),
            (*_TEXT, b"[[", b"]]", b"{a=" * 300, b"[" * 300, b"'''", b'"""', b"\n[mqtt]\n", b"a.b.c.d=", b"1979-05-27"),
        ),
        Target(
            "manifest",
            f"bundle/{MANIFEST_NAME}",
            _manifests,
            lambda folder, _: read_manifest(folder / "bundle"),
            (*_TEXT, b"[" * 300, b'{"a":' * 300, b"null", b"NaN", b"Infinity", b'"\\ud800"', b'"files":{},', b"[1,2]"),
        ),
        Target(
            "index",
            "index.npz",
            lambda: (index_bytes(sample_index()),),
            lambda folder, _: read_index(folder / "index.npz"),
            (
                *_TEXT,
                b"<f4",
                b"|O",
                b"(" * 300,
                b"-" * 300,
                b"PK\x01\x02",
                b"PK\x05\x06",
                b"'shape'",
                b"9" * 20,
                b"1if",
            ),
        ),
        Target(
            "mqtt",
            "",
            _commands,
            _command,
            (*_TEXT, *(name.encode() for name in COMMANDS), b"{", b"[" * 300, b'{"a":' * 300, b"null", b"NaN", b"\n"),
        ),
        Target(
            "checkpoint",
            "model.pth",
            _checkpoints,
            _checkpoint,
            (
                *(
                    b"cbuiltins\nbytearray\n",
                    b"ctorch\nTensor\n",
                    b"c_codecs\nencode\n",
                    b"ccollections\nOrderedDict\n",
                ),
                *(
                    b"\x85" * 300,
                    b"\x8a\x05\0\0\0\0\1",
                    b"}q\0",
                    b"h\0",
                    b"R",
                    b"b",
                    b"t",
                    b"(",
                    b"s",
                    b"u",
                    b"Q",
                    b"\x81",
                ),
                *(b"valence_head.", b"layers.999999.", b"BF16", b"data_offsets", b'{"a":' * 300, b"J\xff\xff\xff\x7f"),
            ),
        ),
    )
}


def repacked(data: bytes, member: str, change: Callable[[bytes], bytes], *, deflate: bool = False) -> bytes:
    """A zip with one member changed and its checksum right again: so a change gets past the zip's own reader."""
    target = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(target, "w", kind) as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, change(content) if name == member else content)
    return target.getvalue()
