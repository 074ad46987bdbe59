"""What a stranger may hand to the product: a value or an error meant for a person comes of it, nothing else."""

from __future__ import annotations

import io
import pickle
import random
import resource
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fuzz_mutations import mutated
from fuzz_targets import TARGETS, repacked
from hypothesis import given, settings
from hypothesis import strategies as st

from emomusic_edge.errors import ConfigError, IndexFileError, ModelError

HERE = Path(__file__).parent


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_strange_input_is_read_or_refused(name: str, tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    if name == "checkpoint":
        pytest.importorskip("torch")
        pytest.importorskip("transformers")
    target = TARGETS[name]
    target.accepts(mutated(target, _good(name), random.Random(seed)), _folder(name, tmp_path_factory))


_GOOD: dict[str, tuple[bytes, ...]] = {}
_FOLDERS: dict[str, Path] = {}


def _good(name: str) -> tuple[bytes, ...]:
    if name not in _GOOD:
        _GOOD[name] = tuple(TARGETS[name].good())
    return _GOOD[name]


def _folder(name: str, factory: pytest.TempPathFactory) -> Path:
    if name not in _FOLDERS:
        _FOLDERS[name] = factory.mktemp(name)
    return _FOLDERS[name]


@pytest.mark.parametrize("name", [name for name in TARGETS if name != "checkpoint"])
def test_the_good_inputs_are_accepted(name: str, tmp_path: Path) -> None:
    assert all(TARGETS[name].accepts(data, tmp_path) for data in _good(name))


def test_a_file_of_ten_thousand_slips_is_told_in_a_dozen_lines(tmp_path: Path) -> None:
    text = "[mqtt]\n" + "".join(f"q{number}=1\n" for number in range(6000))
    with pytest.raises(ConfigError, match=r"6000 settings do not fit") as told:
        TARGETS["config"].read(_written(tmp_path, "config.toml", text.encode()), b"")
    assert str(told.value).count("\n") < 20


def test_a_manifest_with_an_endless_name_is_told_in_short(tmp_path: Path) -> None:
    long = b'"' + b"a" * 20_000 + b'": 1, "name"'
    assert not TARGETS["manifest"].accepts(_good("manifest")[0].replace(b'"name"', long, 1), tmp_path)


@pytest.mark.parametrize("shape", [b"(19, 1if)", b"(" * 300, b"(9" + b"9" * 30 + b",)"])
def test_the_header_of_an_array_is_no_python(shape: bytes, tmp_path: Path) -> None:
    """numpy hands it to Python's parser, which warns on the screen of `1if`."""

    def change(member: bytes) -> bytes:
        begin, end = member.index(b"'shape': ") + 9, member.index(b", }")
        return (member[:begin] + shape + member[end:])[: len(member)]

    data = repacked(_good("index")[0], "header.npy", change)
    assert not TARGETS["index"].accepts(data, tmp_path)
    with pytest.raises(IndexFileError, match=r"\.npy"):
        TARGETS["index"].read(tmp_path, data)


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _whole(value: int) -> bytes:
    data = pickle.encode_long(value)
    return b"\x8a" + bytes([len(data)]) + data


def _tensor(sizes: list[int], strides: list[int]) -> bytes:
    storage = b"(" + _text("storage") + b"ctorch\nFloatStorage\n" + _text("0") + _text("cpu") + _whole(1) + b"tQ"
    shapes = (b"(" + b"".join(map(_whole, numbers)) + b"t" for numbers in (sizes, strides))
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + _whole(0) + b"".join(shapes) + b"\x89}tR"


def _archive(content: bytes, *, deflate: bool = False) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED) as archive:
        archive.writestr("m/data.pkl", b"\x80\x02" + content + b".")
        archive.writestr("m/version", "3\n")
        archive.writestr("m/data/0", bytes(4))
    return buffer.getvalue()


def _under_a_name(value: bytes) -> bytes:
    return b"}" + _text("valence_head.0.weight") + value + b"s"


ATTACKS = {
    "hex of hex of hex": _archive(
        _under_a_name(b"c_codecs\nencode\n" * 24 + _text("a" * 64) + (_text("hex") + b"\x86R") * 24)
    ),
    "a bytearray of 8 GB": _archive(_under_a_name(b"cbuiltins\nbytearray\n" + _whole(1 << 33) + b"\x85R")),
    "a tensor of 8 GB": _archive(_under_a_name(b"ctorch\nTensor\n" + _whole(1 << 31) + b"\x85R")),
    "the same through another call": _archive(
        _under_a_name(b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch\nTensor\nh\0" + _whole(1 << 31) + b"\x85}tR")
    ),
    "one number in 2 GB of places": _archive(_under_a_name(_tensor([1 << 29], [0]))),
    "a tuple a million deep, hashed": _archive(b"})" + b"\x85" * 1_000_000 + b"Ns"),
    "a hundred dimensions": _archive(_under_a_name(_tensor([1] * 100, [1] * 100))),
    "a packed bomb": _archive(_under_a_name(_text("a" * 20_000_000)), deflate=True),
    "a mapping within itself": _archive(b"}q\0" + _text("model") + b"h\0s"),
    "a mapping whose methods are numbers": _archive(
        b"ccollections\nOrderedDict\n)R" + _text("model") + b"Ns}" + _text("items") + b"K\x05sb"
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_hostile_checkpoint_is_refused_in_little_memory(name: str, tmp_path: Path) -> None:
    """In this process: before it was looked through, some of these took gigabytes and one ended the process."""
    pytest.importorskip("torch")
    from emomusic_edge.export.checkpoint.load import load_checkpoint

    file = _written(tmp_path, "model.pth", ATTACKS[name]) / "model.pth"
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match=r"model\.pth"):
        load_checkpoint(file, "scene", dropout_p=0.3)
    # torch itself is loaded by the first of them.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 600_000


def test_a_few_numbers_that_claim_a_network_of_gigabytes_are_refused(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from emomusic_edge.export.checkpoint.load import load_checkpoint

    wide = 65_536
    state = {
        "backbone.vision_model.embeddings.patch_embedding.weight": torch.zeros(wide, 3, 1, 1),
        "backbone.vision_model.embeddings.position_embedding.weight": torch.zeros(2, 1),
        "backbone.visual_projection.weight": torch.zeros(4, 1),
        "backbone.vision_model.encoder.layers.0.mlp.fc1.weight": torch.zeros(4, 1),
        **{f"{axis}_head.0.weight": torch.zeros(1, 4) for axis in ("valence", "arousal")},
    }
    torch.save(state, tmp_path / "model.pth")
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ModelError, match="do not fit"):
        load_checkpoint(tmp_path / "model.pth", "scene", dropout_p=0.3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 600_000


def test_the_long_run_tells_what_it_saw() -> None:
    """The driver of `make fuzz`, for a moment."""
    path = ":".join((str(HERE), str(HERE.parent), str(HERE.parents[1])))
    ran = subprocess.run(
        [sys.executable, HERE / "fuzz_run.py", "mqtt", "50", "7"],
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    assert '"inputs": 50' in ran.stdout
    assert '"faults": []' in ran.stdout


def _written(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder
