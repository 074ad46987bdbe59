from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from conftest import Material
from exported_networks import accepted_by_tensorrt, exported, picture_sets

from emomusic_edge.export.gates.precision import measure_precision
from emomusic_edge.export.precision.fp16 import fp16_from_fp32
from emomusic_edge.export.precision.int8 import int8_from_fp32
from emomusic_edge.export.precision.modelopt_env import ModeloptEnvironment

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def small(seed: int) -> Any:
    from emomusic_edge.export.network.reference import HEADS, reference_of_resnet
    from emomusic_edge.export.network.resnet import ResNetTrunk

    return reference_of_resnet(ResNetTrunk((1, 1, 1, 1)), HEADS["face"], 64, seed)


def test_the_seed_is_all_that_it_depends_on() -> None:
    torch.manual_seed(1)
    one = small(0).state_dict()
    torch.manual_seed(2)
    other = small(0).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert not torch.equal(one["backbone.conv1.weight"], small(1).state_dict()["backbone.conv1.weight"])


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("source", ["scene", "face"])
def test_the_full_size_keeps_its_answers_in_both_precisions(
    source: Literal["scene", "face"], material: Material, modelopt: ModeloptEnvironment
) -> None:
    from emomusic_edge.export.network.masked import CLIP, IMAGENET, MaskedRegressor
    from emomusic_edge.export.network.reference import normalised, reference_regressor

    normalisation = CLIP if source == "scene" else IMAGENET
    regressor = reference_regressor(source)
    network = exported(regressor, normalisation, picture_sets(material, 224))
    masks = torch.from_numpy(network.masks)
    with torch.inference_mode():
        features = regressor.backbone(normalised(np.concatenate(network.pictures.held), normalisation))
        rows = [MaskedRegressor(regressor, normalisation).sampled(row[None], masks) for row in features]
    means = torch.stack([samples.mean(dim=0) for samples in rows])
    variances = torch.stack([samples.var(dim=0) for samples in rows])
    # FindingEmo's own: (0.4, 2.9), sd (1.8, 1.6); variances about the gate of 0.4.
    assert ((means.mean(dim=0) - torch.tensor([0.4, 2.9])).abs() < 2.0).all()
    assert (means.std(dim=0) > 0.6).all()
    assert (means.std(dim=0) < 2.2).all()
    assert ((variances.mean(dim=0) > 0.02) & (variances.mean(dim=0) < 0.6)).all()

    fp16 = fp16_from_fp32(network.model, network.pictures.calibration[:6], modelopt)
    int8 = int8_from_fp32(network.model, network.pictures.calibration)
    for precision, model in (("fp16", fp16), ("int8", int8)):
        figures = measure_precision(
            network.content,
            model.SerializeToString(),
            network.pictures.held,
            network.masks,
            precision,  # type: ignore[arg-type]
        )
        assert figures.failures() == ()
    accepted_by_tensorrt(int8)
    accepted_by_tensorrt(fp16)
