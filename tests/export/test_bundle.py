from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from stub_models import mc_dropout_graph, mc_dropout_manifest, write_mc_dropout_bundle

from emomusic_edge.errors import ModelError
from emomusic_edge.export.bundle import check_contract, write_bundle
from emomusic_edge.manifest import read_bundle


def test_a_written_bundle_reads_back_whole(tmp_path: Path) -> None:
    written = write_mc_dropout_bundle(tmp_path / "face-stub")
    manifest, model = read_bundle(tmp_path / "face-stub")
    assert manifest == written
    onnx.checker.check_model(onnx.load_model_from_string(model))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["face-stub"]


def test_writing_again_replaces_it(tmp_path: Path) -> None:
    first = write_mc_dropout_bundle(tmp_path / "b", "face")
    second = write_mc_dropout_bundle(tmp_path / "b", "scene")
    assert first != second
    assert read_bundle(tmp_path / "b")[0] == second
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def with_node(node: onnx.NodeProto) -> onnx.ModelProto:
    model = mc_dropout_graph()
    model.graph.node.insert(0, node)
    return model


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Dropout", ["image_f"], ["d"]),
        helper.make_node("Bernoulli", ["image_f"], ["d"], dtype=TensorProto.FLOAT),
        helper.make_node("RandomUniform", [], ["d"], shape=[2]),
        helper.make_node("RandomNormal", [], ["d"], shape=[2]),
    ],
    ids=lambda node: node.op_type,
)
def test_no_sampling_node_gets_through(node: onnx.NodeProto, tmp_path: Path) -> None:
    model = with_node(node)
    if node.input:
        model.graph.node.insert(0, helper.make_node("Cast", ["image"], ["image_f"], to=TensorProto.FLOAT))
    with pytest.raises(ModelError, match=node.op_type):
        write_bundle(tmp_path / "b", model, mc_dropout_manifest())
    assert not list(tmp_path.iterdir())


def test_another_output_order_or_input_type_is_refused() -> None:
    model = mc_dropout_graph()
    outputs = list(model.graph.output)
    del model.graph.output[:]
    model.graph.output.extend(reversed(outputs))
    with pytest.raises(ModelError, match="outputs"):
        check_contract(model, mc_dropout_manifest())
    manifest = mc_dropout_manifest()
    wrong = manifest.model_copy(update={"image": manifest.image.model_copy(update={"height_px": 16})})
    with pytest.raises(ModelError, match="inputs"):
        check_contract(mc_dropout_graph(), wrong)


def test_a_failed_write_leaves_the_old_bundle(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "b")
    before = {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()}
    with pytest.raises(ModelError):
        write_bundle(
            tmp_path / "b", with_node(helper.make_node("RandomUniform", [], ["d"], shape=[2])), mc_dropout_manifest()
        )
    assert {p.name: p.read_bytes() for p in (tmp_path / "b").iterdir()} == before


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
