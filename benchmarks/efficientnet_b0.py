"""Writes EfficientNet-B0 with eight classes and random weights as ONNX: hsemotion-onnx's network without its weights.

How long it takes does not depend on the weights, as long as what flows through is no vanishing number: those cost some
processors twenty times as much. So its normalisations are set by pictures of noise, as training would set them.

python benchmarks/efficientnet_b0.py OUT.onnx
"""

from __future__ import annotations

import sys
from pathlib import Path

CLASSES = 8
IMAGE_PX = 224
# EfficientNet-B0 has 5,288,548 weights with 1,000 classes (Tan and Le 2019: 5.3 million), 1,281 for each class.
WEIGHTS = 5_288_548 - (1000 - CLASSES) * 1281
OPSET = 18


def main(out: Path) -> None:
    """Build, check the size, export in one file."""
    import logging
    import warnings

    import onnx
    import torch
    from transformers import EfficientNetConfig, EfficientNetForImageClassification

    logging.disable(logging.WARNING)
    # The coefficients of B0 are 1; transformers' defaults are those of B7.
    config = EfficientNetConfig(
        width_coefficient=1.0,
        depth_coefficient=1.0,
        hidden_dim=1280,
        image_size=IMAGE_PX,
        num_labels=CLASSES,
    )
    torch.manual_seed(0)
    network = EfficientNetForImageClassification(config)
    weights = sum(parameter.numel() for parameter in network.parameters())
    if weights != WEIGHTS:
        sys.exit(f"transformers built {weights} weights, EfficientNet-B0 with {CLASSES} classes has {WEIGHTS}")

    for module in network.modules():
        # What transformers draws, 0.02 for weights and scales alike, dies out from layer to layer.
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight)
        elif isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
            module.momentum = 1.0
    noise = torch.randn(8, 3, IMAGE_PX, IMAGE_PX)
    with torch.no_grad():
        # In training mode each normalisation takes the statistics of what reaches it.
        network.train()(pixel_values=noise)
        strength = float(network.eval()(pixel_values=noise).logits.std())
    if not strength > 1e-3:
        sys.exit(f"EfficientNet-B0 answers noise with {strength:.1e}: vanishing numbers would be timed")

    class Scores(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return network(pixel_values=pictures).logits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            Scores().eval(),
            (torch.zeros(1, 3, IMAGE_PX, IMAGE_PX),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["input"],
            output_names=["output"],
            verbose=False,
        )
    model = program.model_proto
    # What older ONNX Runtimes read too.
    model.ir_version = 9
    onnx.save(model, str(out))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
