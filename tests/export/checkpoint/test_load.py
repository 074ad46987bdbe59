from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from openai_clip import Clip, VisionTower  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from seed_models import FaceEmotionRegressor, SceneEmotionRegressor, face_model, scene_model  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from emomusic_edge.errors import MissingExtraError, ModelError  # noqa: E402
from emomusic_edge.export.checkpoint.load import LoadedCheckpoint, load_checkpoint  # noqa: E402
from emomusic_edge.export.checkpoint.sizes import clip_tower_sizes  # noqa: E402
from emomusic_edge.export.network.clip_tower import ClipTower, ClipTowerSizes  # noqa: E402


def load(path: Path, source: str) -> LoadedCheckpoint:
    return load_checkpoint(path, source, dropout_p=0.3)  # type: ignore[arg-type]


def answers(model: nn.Module, image_px: int = 64) -> Tensor:
    pictures = torch.randn(3, 3, image_px, image_px, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        return model.eval()(pictures)


@pytest.fixture(scope="module")
def scene() -> SceneEmotionRegressor:
    return scene_model()


@pytest.fixture(scope="module")
def face() -> FaceEmotionRegressor:
    return face_model()


# What training saves


def _lightning(state: dict[str, Tensor]) -> dict[str, Any]:
    inside = {f"model.{name}": value for name, value in state.items()} | {"loss.weight": torch.ones(2)}
    return {"state_dict": inside, "epoch": 3, "pytorch-lightning_version": "2.4.0", "optimizer_states": [{}]}


WRAPPINGS: dict[str, Callable[[dict[str, Tensor]], Any]] = {
    "plain": lambda state: state,
    "fastai": lambda state: {"model": state, "opt": {"state": [], "hypers": [{"lr": 1e-3}]}},
    "lightning": _lightning,
    "ddp": lambda state: {f"module.{name}": value for name, value in state.items()},
    "compiled ddp in a wrapper": lambda state: {
        "model_state_dict": {f"module._orig_mod.{name}": value for name, value in state.items()}
    },
    "ddp around the trunk": lambda state: {n.replace("backbone.", "backbone.module."): v for n, v in state.items()},
    "bfloat16": lambda state: {n: v.bfloat16() if v.is_floating_point() else v for n, v in state.items()},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("source", ["scene", "face"])
def test_every_wrapping_gives_the_same_model(
    source: str, wrapping: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    model = request.getfixturevalue(source)
    torch.save(WRAPPINGS[wrapping](dict(model.state_dict())), tmp_path / "model.pth")
    loaded = load(tmp_path / "model.pth", source)
    # eight bits of mantissa leave half a percent of answers of about 1
    tolerance = 0.05 if wrapping == "bfloat16" else 1e-5
    torch.testing.assert_close(answers(loaded.regressor), answers(model), atol=tolerance, rtol=0)
    assert loaded.architecture == {"scene": "ViT-128x2/16", "face": "ResNet-18"}[source]
    assert all(value.dtype == torch.float32 for value in loaded.regressor.parameters())


def test_what_was_unwrapped_is_told(scene: SceneEmotionRegressor, tmp_path: Path) -> None:
    torch.save(_lightning(dict(scene.state_dict())), tmp_path / "model.ckpt")
    told = " · ".join(load(tmp_path / "model.ckpt", "scene").told)
    assert "state_dict" in told
    assert "model." in told
    assert "loss.weight" in told
    assert "text tower dropped" in told


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_safetensors_is_known_by_its_content(face: FaceEmotionRegressor, name: str, tmp_path: Path) -> None:
    save_file({n: v.contiguous() for n, v in face.state_dict().items()}, tmp_path / name)
    torch.testing.assert_close(answers(load(tmp_path / name, "face").regressor), answers(face))


def test_the_old_file_format_of_torch_loads(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    torch.save(face.state_dict(), tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    torch.testing.assert_close(answers(load(tmp_path / "old.pth", "face").regressor), answers(face))


def test_the_text_tower_may_be_missing(scene: SceneEmotionRegressor, tmp_path: Path) -> None:
    kept = {n: v for n, v in scene.state_dict().items() if "text" not in n and "logit_scale" not in n}
    torch.save(kept, tmp_path / "model.pth")
    loaded = load(tmp_path / "model.pth", "scene")
    torch.testing.assert_close(answers(loaded.regressor), answers(scene), atol=1e-5, rtol=0)
    assert not any("text tower" in line for line in loaded.told)


@pytest.mark.parametrize("whole", [True, False], ids=["whole CLIP", "visual alone"])
def test_openais_own_names(whole: bool, tmp_path: Path) -> None:
    torch.manual_seed(3)
    visual = VisionTower(64, 16, 128, 2, 48)
    model = SceneEmotionRegressor.__new__(SceneEmotionRegressor)
    nn.Module.__init__(model)
    model.feature_dim, model.dropout = 48, nn.Dropout(0.3)
    model.backbone = Clip(visual) if whole else visual
    model.valence_head, model.arousal_head = model._create_head(), model._create_head()
    # CLIP's published weights are half precision; the oracle then computes with what was stored
    state = {n: v.half() if v.is_floating_point() and whole else v for n, v in model.state_dict().items()}
    torch.save(state, tmp_path / "model.pt")
    model.load_state_dict({n: v.float() for n, v in state.items()})
    model.eval()
    pictures = torch.randn(3, 3, 64, 64)
    with torch.no_grad():
        features = visual(pictures)
        expected = torch.cat([model.valence_head(features), model.arousal_head(features)], dim=1)
        found = load(tmp_path / "model.pt", "scene").regressor(pictures)
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=0)


# Sizes


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("ViT-B/32", ClipTowerSizes(224, 32, 768, 12, 3072, 512)),
        ("ViT-B/16", ClipTowerSizes(224, 16, 768, 12, 3072, 512)),
        ("ViT-L/14", ClipTowerSizes(224, 14, 1024, 24, 4096, 768)),
        ("ViT-L/14", ClipTowerSizes(336, 14, 1024, 24, 4096, 768)),
    ],
)
def test_clips_sizes_are_read_off_the_shapes(name: str, sizes: ClipTowerSizes) -> None:
    with torch.device("meta"):
        tower = ClipTower(sizes)
    assert clip_tower_sizes(tower.state_dict(), "model.pth") == sizes
    assert sizes.name == name
    assert tower.vision_model.config.num_attention_heads == {768: 12, 1024: 16}[sizes.width]


def test_resnet_34_and_other_head_widths(tmp_path: Path) -> None:
    model = face_model(seed=4, depths=(3, 4, 6, 3), hidden=32)
    torch.save(model.state_dict(), tmp_path / "model.pth")
    loaded = load(tmp_path / "model.pth", "face")
    assert loaded.architecture == "ResNet-34"
    torch.testing.assert_close(answers(loaded.regressor), answers(model), atol=1e-4, rtol=1e-4)


def test_a_classifier_left_on_the_trunk_is_dropped(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    torch.save(dict(face.state_dict()) | {"backbone.fc.weight": torch.ones(10, 512)}, tmp_path / "model.pth")
    assert "ImageNet classifier dropped" in load(tmp_path / "model.pth", "face").told


# What is refused


def told_of(state: dict[str, Any], source: str, tmp_path: Path) -> str:
    torch.save(state, tmp_path / "model.pth")
    with pytest.raises(ModelError) as caught:
        load(tmp_path / "model.pth", source)
    return str(caught.value)


def test_all_key_faults_come_in_one_message_in_groups(scene: SceneEmotionRegressor, tmp_path: Path) -> None:
    state = dict(scene.state_dict())
    for layer in (0, 1):
        del state[f"backbone.vision_model.encoder.layers.{layer}.mlp.fc2.bias"]
    state["backbone.vision_model.adapter.weight"] = torch.ones(3)
    state["valence_head.1.weight"] = torch.ones(7)
    told = told_of(state, "scene", tmp_path)
    assert "2 missing: backbone.vision_model.encoder.layers.{0, 1}.mlp.fc2.bias" in told
    assert "1 unexpected: backbone.vision_model.adapter.weight" in told
    assert "1 misshapen: valence_head.1.weight is (7,), expected (256,)" in told
    assert "Likeliest cause" in told
    assert told.count("\n") == 4


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda s: s.pop("backbone.layer4.1.conv2.weight"), "only part of the trunk"),
        (lambda s: s.update({"criterion.weight": torch.ones(2)}), "the training object"),
        (lambda s: s.update({"backbone.layer1.0.conv1.lora_A": torch.ones(2)}), "adapters were trained"),
        (lambda s: s.update({"valence_head.0.bias": torch.ones(3)}), "two models of different sizes"),
    ],
)
def test_the_likeliest_cause(
    change: Callable[[dict[str, Tensor]], object], cause: str, face: FaceEmotionRegressor, tmp_path: Path
) -> None:
    state = dict(face.state_dict())
    change(state)
    assert cause in told_of(state, "face", tmp_path)


def test_scene_and_face_are_not_taken_for_each_other(
    scene: SceneEmotionRegressor, face: FaceEmotionRegressor, tmp_path: Path
) -> None:
    assert "ResNet" in told_of(dict(face.state_dict()), "scene", tmp_path)
    assert "CLIP" in told_of(dict(scene.state_dict()), "face", tmp_path)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"epoch": 3}, "holds no tensors"),
        ({"conv1.weight": torch.ones(2)}, "no backbone"),
        ({"backbone.layer1.0.conv3.weight": torch.ones(2), "valence_head.0.weight": torch.ones(2, 2)}, "ResNet-50"),
        ({"backbone.conv1.weight": torch.ones(2)}, "0, 0, 0, 0"),
        (
            {"a.valence_head.0.weight": torch.ones(2, 2), "ema.valence_head.0.weight": torch.ones(2, 2)},
            "holds 2 regressors",
        ),
    ],
)
def test_what_is_no_regressor_is_told(state: dict[str, Any], expected: str, tmp_path: Path) -> None:
    assert expected in told_of(state, "face", tmp_path)


def test_a_head_of_another_kind_is_told(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    state = dict(face.state_dict())
    state["valence_head.2.weight"] = state.pop("valence_head.3.weight")
    assert "valence_head has weights" in told_of(state, "face", tmp_path)
    del state["valence_head.0.weight"], state["valence_head.2.weight"]
    assert "no valence_head.0.weight" in told_of(state, "face", tmp_path)


def openai_state(scene: SceneEmotionRegressor) -> dict[str, Any]:
    torch.manual_seed(3)
    tower = {f"backbone.visual.{n}": v for n, v in VisionTower(64, 16, 128, 2, 48).state_dict().items()}
    return tower | {n: v for n, v in scene.state_dict().items() if "head" in n}


@pytest.mark.parametrize("stray", ["ls_1.gamma", "adapter.weight", "mlp.lora_A.weight"])
def test_weights_inside_the_image_tower_are_never_taken_for_text(
    stray: str, scene: SceneEmotionRegressor, tmp_path: Path
) -> None:
    """LayerScale or an adapter that was dropped without a word would change every answer."""
    state = openai_state(scene) | {f"backbone.visual.transformer.resblocks.0.{stray}": torch.full((128,), 0.1)}
    assert f"1 unexpected: backbone.transformer.resblocks.0.{stray}" in told_of(state, "scene", tmp_path)


@pytest.mark.parametrize("width", [512, 256])
def test_a_layer_that_was_trained_in_the_classifiers_place_is_not_dropped(
    width: int, face: FaceEmotionRegressor, tmp_path: Path
) -> None:
    state = dict(face.state_dict()) | {"backbone.fc.weight": torch.randn(width, 512)}
    for axis in ("valence", "arousal"):
        state[f"{axis}_head.0.weight"] = torch.randn(128, width)
    assert "stands between the ResNet and heads" in told_of(state, "face", tmp_path)


def test_heads_for_another_width_are_told_as_misshapen(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    state = dict(face.state_dict()) | {"arousal_head.0.weight": torch.randn(128, 256)}
    told = told_of(state, "face", tmp_path)
    assert "arousal_head.0.weight is (128, 256), expected (128, 512)" in told
    assert "features of another width" in told


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["sparse", "complex", "meta", "quantised"])
def test_values_that_are_no_plain_numbers_are_refused(kind: str, face: FaceEmotionRegressor, tmp_path: Path) -> None:
    weight = face.state_dict()["backbone.conv1.weight"]
    odd = {
        "sparse": lambda: weight.to_sparse(),
        "complex": lambda: weight.to(torch.complex64),
        "meta": lambda: weight.to("meta"),
        "quantised": lambda: torch.quantize_per_tensor(weight, 0.1, 0, torch.qint8),
    }[kind]()
    assert "backbone.conv1.weight" in told_of(
        dict(face.state_dict()) | {"backbone.conv1.weight": odd}, "face", tmp_path
    )


def test_one_name_saved_twice_is_refused(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    state = dict(face.state_dict()) | {"backbone.module.conv1.weight": torch.ones(64, 3, 7, 7)}
    assert "twice" in told_of(state, "face", tmp_path)


def test_an_averaged_model_is_a_model(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    averaged = torch.optim.swa_utils.AveragedModel(face)
    torch.save(averaged.state_dict(), tmp_path / "model.pth")
    torch.testing.assert_close(answers(load(tmp_path / "model.pth", "face").regressor), answers(face))


def test_another_model_beside_the_one_that_is_taken_is_told(face: FaceEmotionRegressor, tmp_path: Path) -> None:
    torch.save({"model": face.state_dict(), "ema": face.state_dict()}, tmp_path / "model.pth")
    assert any("'ema'" in line for line in load(tmp_path / "model.pth", "face").told)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_values_that_are_not_finite_are_refused_by_name(
    value: float, face: FaceEmotionRegressor, tmp_path: Path
) -> None:
    state = {n: v.clone() for n, v in face.state_dict().items()}
    state["backbone.layer2.0.conv1.weight"][0, 0, 0, 0] = value
    assert "backbone.layer2.0.conv1.weight" in told_of(state, "face", tmp_path)


def test_an_old_torch_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    torch.save({"x": torch.ones(1)}, tmp_path / "model.pth")
    monkeypatch.setattr(torch, "__version__", "2.9.1+cpu")
    with pytest.raises(MissingExtraError, match=r"2\.9\.1.*2\.10"):
        load(tmp_path / "model.pth", "face")
