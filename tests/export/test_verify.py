from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from stub_models import write_mc_dropout_bundle

from emomusic_edge.errors import ModelError
from emomusic_edge.export.verify import verify_bundle
from emomusic_edge.paths import DataLayout, packaged_bundle


def states(bundle: Path) -> dict[str, str]:
    return {gate.name: gate.state for gate in verify_bundle(bundle, with_builder=False)[1]}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, small_scene: object, scenes: object) -> Path:
    from small_plans import QUICK, export

    folder = tmp_path_factory.mktemp("exported") / "b"
    export(small_scene, scenes, folder, QUICK)  # type: ignore[arg-type]
    return folder


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "b"))


def altered(bundle: Path, name: str, content: bytes) -> Path:
    """A bundle with another file, and a manifest that says it is right."""
    (bundle / name).write_bytes(content)
    manifest = json.loads((bundle / "manifest.json").read_text())
    manifest["files"][name] = sha256(content).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


def test_an_exported_bundle_holds_without_its_checkpoint(bundle: Path) -> None:
    assert states(bundle) == {
        "hashes": "passed",
        "contract": "passed",
        "parity": "passed",
        "sampling": "passed",
        "preprocessing": "not run",
    }


@pytest.fixture(scope="module")
def exported_int8(tmp_path_factory: pytest.TempPathFactory, small_face: object, faces: object) -> Path:
    import dataclasses

    from small_plans import QUICK, export

    from emomusic_edge.export.network.masked import IMAGENET

    folder = tmp_path_factory.mktemp("exported") / "b"
    plan = dataclasses.replace(
        QUICK, source="face", architecture="ResNet-18", precision="int8", normalisation=IMAGENET, activation=""
    )
    export(small_face, faces, folder, plan)  # type: ignore[arg-type]
    return folder


def test_int8_holds_in_both_its_forms(exported_int8: Path) -> None:
    """It is held against the graph's own answers: made pictures are like none that int8 was calibrated with."""
    assert states(exported_int8) == {
        "hashes": "passed",
        "contract": "passed",
        "contract of the form for processors": "passed",
        "parity": "passed",
        "sampling": "passed",
        "parity of the form for processors": "passed",
        "sampling of the form for processors": "passed",
        "preprocessing": "not run",
    }
    assert "int8 graph itself" in json.loads((exported_int8 / "parity.json").read_text())["reference"]


def test_a_form_for_processors_that_misses_a_bound_is_left_out_and_told(
    small_face: object, faces: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dataclasses

    from small_plans import QUICK, export

    from emomusic_edge.export.network.masked import IMAGENET
    from emomusic_edge.export.precision import int8_for_cpu

    def with_other_weights(model: onnx.ModelProto) -> onnx.ModelProto:
        graph = rewrite(model)
        assert graph is not None
        for tensor in graph.graph.initializer:
            if tensor.name == "stem_bias":
                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(5), tensor.name))
        return graph

    rewrite = int8_for_cpu.int8_for_cpu
    monkeypatch.setattr(int8_for_cpu, "int8_for_cpu", with_other_weights)
    plan = dataclasses.replace(
        QUICK,
        source="face",
        precision="int8",
        normalisation=IMAGENET,
        activation="",
        gates=("contract", "precision"),
        # At 64 px the random network itself misses the bound of rank correlation.
        force=True,
    )
    manifest = export(small_face, faces, tmp_path / "b", plan).manifest  # type: ignore[arg-type]
    assert manifest.files.keys() == {"model.onnx", "parity.json"}
    left_out = manifest.gates[-1]
    assert (left_out.name, left_out.state) == ("precision of the form for processors", "not run")
    assert left_out.told.startswith("left out of the bundle: int8 differs from fp32")


def test_a_form_for_processors_with_other_weights_is_found(exported_int8: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(exported_int8, tmp_path / "b"))
    model = onnx.load(bundle / "model.cpu.onnx")
    for tensor in model.graph.initializer:
        if tensor.name == "stem_bias":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(5), tensor.name))
    found = states(altered(bundle, "model.cpu.onnx", model.SerializeToString()))
    assert (found["parity"], found["parity of the form for processors"]) == ("passed", "failed")


def test_with_pictures_the_preprocessing_is_held_too(bundle: Path, scenes: object) -> None:
    gates = verify_bundle(bundle, pictures=scenes, with_builder=False)[1]  # type: ignore[arg-type]
    assert {gate.name: gate.state for gate in gates}["preprocessing"] == "passed"


@pytest.mark.parametrize("name", ["model.onnx", "parity.json", "manifest.json"])
def test_a_flipped_byte_anywhere_is_found(name: str, bundle: Path) -> None:
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(ModelError):
        verify_bundle(bundle, with_builder=False)


def test_weights_that_are_not_those_of_the_record_are_found(bundle: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.endswith("arousal_head.8.bias"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + np.float32(0.001), tensor.name))
    assert states(altered(bundle, "model.onnx", model.SerializeToString()))["parity"] == "failed"


def test_a_graph_that_breaks_the_contract_is_found(bundle: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    model.graph.node.append(onnx.helper.make_node("RandomUniform", [], ["stray"], shape=[2]))
    found = states(altered(bundle, "model.onnx", model.SerializeToString()))
    # and nothing else runs it
    assert found == {"hashes": "passed", "contract": "failed"}


def test_a_graph_that_points_to_other_files_reaches_no_parser(bundle: Path) -> None:
    model = onnx.load(bundle / "model.onnx")
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../secret.bin")
    with pytest.raises(ModelError, match="another file"):
        verify_bundle(altered(bundle, "model.onnx", model.SerializeToString()), with_builder=False)


@pytest.mark.parametrize("content", [b"{}", b"", b"[1]", b'{"schema_version": 1, "pictures": 99}'])
def test_a_record_that_is_none_is_refused(content: bytes, bundle: Path) -> None:
    with pytest.raises(ModelError, match=r"parity\.json"):
        verify_bundle(altered(bundle, "parity.json", content), with_builder=False)


def test_the_starters_hold(starter_layout: DataLayout) -> None:
    for name in ("face-starter", "blazeface-full", "blazeface-short"):
        assert states(starter_layout.bundle(name)) == {"hashes": "passed", "contract": "passed", "parity": "passed"}


def test_what_has_no_record_says_so(tmp_path: Path) -> None:
    write_mc_dropout_bundle(tmp_path / "b")
    assert states(tmp_path / "b")["parity"] == "not run"
    assert states(packaged_bundle("scene-starter"))["parity"] == "not run"
