"""The examples on the pages work: settings load, the bundle runs, the ratings are read."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx.parser
import pytest
from pages import NAMES, blocks, text_of

from emomusic_edge.config import Settings, load_config
from emomusic_edge.deam_index.csv_rows import SourceFile
from emomusic_edge.deam_index.library_csv import read_library
from emomusic_edge.deam_index.scale import parse_scale
from emomusic_edge.manifest import read_bundle
from emomusic_edge.runtime.engines.onnx_runtime import OrtEngine
from emomusic_edge.runtime.predictors import AffectPredictor


@pytest.mark.parametrize("name", NAMES)
def test_settings_in_examples_are_settings(name: str, tmp_path: Path) -> None:
    text = text_of(name)
    for number, example in enumerate(blocks(text, "toml")):
        file = tmp_path / f"{number}.toml"
        file.write_text(example, encoding="utf-8")
        load_config(file)
    for parts in re.findall(r"EMOMUSIC_([A-Z]+)__([A-Z_]+)", text):
        group, field = (part.lower() for part in parts)
        assert hasattr(getattr(Settings(), group), field), f"{name}: EMOMUSIC_{group}__{field}"


GRAPH = """
<ir_version: 9, opset_import: ["": 17]>
face (uint8[1,224,224,3] image, float[T,768] masks) => (float[2] mean, float[2] variance, float[T,2] samples)
<int64[2] head = {512, 768}, int64[1] columns = {1}, int64[2] two = {-1, 2}, float scale = {100.0}, float one = {1.0}>
{
    pixels = Cast <to = 1> (image)
    light = ReduceMean <keepdims = 0> (pixels)
    begin = Constant <value_ints = [512]> ()
    end = Constant <value_ints = [514]> ()
    heads = Slice (masks, begin, end, columns)
    dimmed = Div (light, scale)
    samples = Mul (heads, dimmed)
    mean = ReduceMean <axes = [0], keepdims = 0> (samples)
    apart = Sub (samples, mean)
    squares = Mul (apart, apart)
    zero = Constant <value_ints = [0]> ()
    total = ReduceSum <keepdims = 0> (squares, zero)
    shape = Shape <end = 1> (samples)
    rows = Cast <to = 1> (shape)
    free = Sub (rows, one)
    variance = Div (total, free)
}
"""


def test_the_bundle_of_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = blocks(text_of("docs/your-own-models-and-music.md"), "python")
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.parser.parse_model(GRAPH), "my-face.onnx")
    exec(compile(example, "example", "exec"), {})  # the page's own code, as a reader would run it
    manifest, model = read_bundle(tmp_path / "my-face")
    predictor = AffectPredictor(OrtEngine(model, name=manifest.name), manifest)
    estimate = predictor.predict(np.full((90, 60, 3), 50, np.uint8))
    # half of the masks are 2, so that rows scatter around the picture's light / 100
    assert estimate.samples == 64
    assert estimate.mean == pytest.approx((0.5, 0.5), abs=0.3)
    assert min(estimate.variance) > 0.1


@pytest.mark.parametrize(("name", "points"), [("your-own-models-and-music", 2), ("music-index", 3)])
def test_the_ratings_of_the_example_are_read(name: str, points: int, tmp_path: Path) -> None:
    (example,) = [block for block in blocks(text_of(f"docs/{name}.md"), "text") if "arousal" in block]
    file = SourceFile("ratings.csv", "ratings.csv", example.encode())
    rows = read_library(file, parse_scale("1..9"), tmp_path)
    assert len(rows) == points
    assert (rows[0].path, rows[0].valence, rows[0].arousal) == ("album/first.flac", -0.75, 0.5)
    assert rows[-1].end_s is None
