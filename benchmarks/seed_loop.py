"""The source document's own way of a frame through both models, and the same networks with the trunk run once.

After the document's SceneFaceFusion.predict, `_preprocess_frame` and both `_mc_forward`: T whole passes each, the
scene's in training mode without gradients, the face's as it stands, with the gradients of what the document trains;
inverse-variance fusion. Four things differ. The face box is given, as it is to whatever this is held against. Dropout
is active in the face model too; the document does not switch it on (decision 2 of the design), which costs the same.
The document counts the last ten parameters while the ResNet still has its classifier, whose weight and bias are two of
them: eight of the trunk train there, ten here. And its class never calls `eval()`: here both models stand in evaluation
mode but for that dropout, so that the face model's normalisation takes its stored statistics.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from seed_models import FaceEmotionRegressor, SceneEmotionRegressor
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

FACE_PX = 224
_FLOOR = 1e-6
# The document freezes all of the ResNet but its last ten parameters, and all of CLIP.
_FACE_PARAMETERS_TRAINED = 10


class SceneFaceFusion:
    """Both models at full size, ViT-B/32 and ResNet-18, with random weights."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        # CLIPConfig's defaults are ViT-B/32.
        self._scene = SceneEmotionRegressor(CLIPModel(CLIPConfig())).eval()
        self._face = FaceEmotionRegressor().eval()
        for backbone, trained in ((self._scene.backbone, 0), (self._face.backbone, _FACE_PARAMETERS_TRAINED)):
            parameters = list(backbone.parameters())
            for parameter in parameters[: len(parameters) - trained]:
                parameter.requires_grad = False
        self._face.dropout.train()

    def predict(self, frame: NDArray[np.uint8], crop: NDArray[np.uint8], samples: int) -> tuple[float, ...]:
        """T whole passes through each model, as the document has it.

        Args:
            frame: uint8 [H, W, 3] BGR.
            crop: the face with its margin, uint8 [h, w, 3] BGR.
            samples: T.

        Returns:
            Valence, arousal and their variances.
        """
        picture = preprocess_frame(frame)
        self._scene.train(True)
        with torch.no_grad():
            scene = torch.cat([self._scene(picture) for _ in range(samples)])
        self._scene.train(False)
        picture = preprocess_frame(cv2.resize(crop, (FACE_PX, FACE_PX)))
        return _fused(scene, torch.cat([self._face(picture) for _ in range(samples)]))

    def predict_trunk_once(self, frame: NDArray[np.uint8], crop: NDArray[np.uint8], samples: int) -> tuple[float, ...]:
        """The same with one pass through each trunk and T rows through the heads."""
        pictures = preprocess_frame(frame), preprocess_frame(cv2.resize(crop, (FACE_PX, FACE_PX)))
        answers = []
        with torch.no_grad():
            for model, picture in zip((self._scene, self._face), pictures, strict=True):
                model.dropout.train()
                answers.append(model.from_features(model.features(picture).expand(samples, -1)))
        return _fused(*answers)


def preprocess_frame(frame: NDArray[np.uint8]) -> Tensor:
    """uint8 [H, W, 3] BGR to float32 [1, 3, 224, 224], with ImageNet's statistics for both models."""
    frame = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
    frame = cv2.resize(frame, (FACE_PX, FACE_PX))
    tensor = torch.from_numpy(frame).permute(2, 0, 1).float() / 255.0
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    sd = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return ((tensor - mean) / sd).unsqueeze(0)


def _fused(scene: Tensor, face: Tensor) -> tuple[float, ...]:
    """Inverse-variance weights, without a floor but for the document's epsilon."""
    weights = [1 / (samples.var(dim=0) + _FLOOR) for samples in (scene, face)]
    total = weights[0] + weights[1]
    mean = (weights[0] * scene.mean(dim=0) + weights[1] * face.mean(dim=0)) / total
    variance = 1 / total
    return mean[0].item(), mean[1].item(), variance[0].item(), variance[1].item()
