from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import helper
from stub_models import mc_dropout_graph, mc_dropout_manifest, write_mc_dropout_bundle

from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import write_bundle
from emomusic_edge.manifest import CPU_MODEL_NAME, MODEL_NAME, read_bundle
from emomusic_edge.model_file import open_bundle


def test_a_written_bundle_reads_back_whole(tmp_path: Path) -> None:
    written = write_mc_dropout_bundle(tmp_path / "face-stub")
    manifest, model = read_bundle(tmp_path / "face-stub")
    assert manifest == written
    onnx.checker.check_model(onnx.load_model_from_string(model))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face-stub"]


def written_in_two_forms(bundle: Path) -> onnx.ModelProto:
    """A bundle with a form for processors, that differs by a name alone."""
    for_cpu = mc_dropout_graph()
    for_cpu.graph.name = "for processors"
    write_bundle(bundle, mc_dropout_graph(), mc_dropout_manifest("face"), for_cpu=for_cpu)
    return for_cpu


def test_a_form_for_processors_lies_beside_the_model(tmp_path: Path) -> None:
    for_cpu = written_in_two_forms(tmp_path / "b")
    manifest, model = open_bundle(tmp_path / "b")
    assert manifest.files.keys() == {MODEL_NAME, CPU_MODEL_NAME}
    assert [manifest.model_file(on_cpu=cpu) for cpu in (True, False)] == [CPU_MODEL_NAME, MODEL_NAME]
    assert model.for_cpu is not None
    assert model.for_cpu.content() == for_cpu.SerializeToString(deterministic=True)
    assert model.content() == read_bundle(tmp_path / "b")[1] != model.for_cpu.content()


def test_an_altered_form_for_processors_is_refused(tmp_path: Path) -> None:
    written_in_two_forms(tmp_path / "b")
    path = tmp_path / "b" / CPU_MODEL_NAME
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelError, match=CPU_MODEL_NAME):
        read_bundle(tmp_path / "b")
    model = open_bundle(tmp_path / "b")[1].for_cpu
    assert model is not None
    for either in (model, open_bundle(tmp_path / "b")[1]):
        with pytest.raises(ModelError, match=CPU_MODEL_NAME):
            either.check()


def test_a_form_for_processors_that_breaks_the_contract_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="sampling must come from the masks"):
        write_bundle(tmp_path / "b", mc_dropout_graph(), mc_dropout_manifest("face"), for_cpu=broken())
    assert not (tmp_path / "b").exists()


def test_writing_again_replaces_it(tmp_path: Path) -> None:
    first = write_mc_dropout_bundle(tmp_path / "b", "face")
    second = write_mc_dropout_bundle(tmp_path / "b", "scene")
    assert first != second
    assert read_bundle(tmp_path / "b")[0] == second
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def broken() -> onnx.ModelProto:
    model = mc_dropout_graph()
    model.graph.node.insert(0, helper.make_node("RandomUniform", [], ["d"], shape=[2]))
    return model


def test_a_failed_write_leaves_the_old_bundle(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "b")
    before = {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()}
    with pytest.raises(ModelError):
        write_bundle(tmp_path / "b", broken(), mc_dropout_manifest())
    assert {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()} == before


@pytest.mark.parametrize("kind", ["a folder of songs", "a file", "a web project", "a bundle with notes"])
def test_what_is_no_bundle_is_never_replaced(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "Music"
    mine = target if kind == "a file" else target / "mine.txt"
    if kind == "a bundle with notes":
        write_mc_dropout_bundle(target)
    elif kind != "a file":
        target.mkdir()
    if kind == "a web project":
        (target / "manifest.json").write_text('{"name": "extension"}')
    mine.write_text("mine")
    with pytest.raises(ModelError, match="is no bundle, or holds more"):
        write_mc_dropout_bundle(target)
    assert mine.read_text() == "mine"


def test_an_empty_folder_may_become_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    write_mc_dropout_bundle(tmp_path / "b")
    assert read_bundle(tmp_path / "b")[0].name == "face-stub"


def test_a_flipped_byte_is_found_before_any_parser_sees_it(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "b")
    path = tmp_path / "b" / "model.onnx"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match="sha256"):
        read_bundle(tmp_path / "b")


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("schema_version", 2, "schema_version"),
        ("kind", "oracle", "kind"),
        ("unknown", 1, "unknown"),
        ("opset", 21, "opset"),
        ("files", {"../model.onnx": "0" * 64, "model.onnx": "0" * 64}, "plain files"),
        ("files", {}, "model.onnx"),
        ("mc_dropout", None, "mc_dropout"),
        ("source", None, "source"),
    ],
)
def test_a_wrong_manifest_is_refused_by_field(tmp_path: Path, field: str, value: object, named: str) -> None:
    write_mc_dropout_bundle(tmp_path / "b")
    path = tmp_path / "b" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(ModelError, match=named):
        read_bundle(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": 1}', b" " * (1 << 21)])
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"manifest\.json"):
        read_bundle(tmp_path)


def test_a_missing_bundle_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        read_bundle(tmp_path / "face-starter", mend="emomusic-edge export starter")
    assert "face-starter" in str(caught.value)
    assert caught.value.mend == "emomusic-edge export starter"
