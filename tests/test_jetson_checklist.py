"""docs/jetson-checklist.md names each test that needs a GPU, and no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from pages import REPO, code_spans, text_of


def _marked(node: ast.AST) -> bool:
    return ast.unparse(node) == "pytest.mark.gpu"


def gpu_tests() -> Iterator[str]:
    for path in sorted((REPO / "tests").rglob("test_*.py")):
        module = ast.parse(path.read_text(encoding="utf-8"))
        whole = any(isinstance(node, ast.Assign) and _marked(node.value) for node in module.body)
        for node in module.body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            if whole or any(_marked(decorator) for decorator in node.decorator_list):
                yield node.name


def test_the_checklist_names_each_test_that_needs_a_gpu() -> None:
    named = {span for span in code_spans(text_of("docs/jetson-checklist.md")) if span.startswith("test_")}
    assert named == set(gpu_tests())
    assert len(named) > 5
