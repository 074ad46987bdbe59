"""docs/doctor.md says what the doctor does."""

from __future__ import annotations

import json
from datetime import datetime, timezone

from pages import blocks, section, table, text_of

from emomusic_edge.installation.places import AS_SERVICE
from emomusic_edge.runtime.doctor.finding import Finding, Level
from emomusic_edge.runtime.doctor.report import SCHEMA, document
from emomusic_edge.runtime.doctor.subjects import SUBJECTS

PAGE = text_of("docs/doctor.md")


def test_every_subject_is_on_the_page_in_order() -> None:
    rows = table(section(PAGE, "What it looks at"))
    assert [cells[0] for cells in rows if cells[0].startswith("`")] == [f"`{subject.name}`" for subject in SUBJECTS]


def test_the_example_document_is_one_that_could_be_printed() -> None:
    (example,) = (json.loads(block) for block in blocks(PAGE, "json"))
    findings = [Finding(**{**told, "level": Level(told["level"])}) for told in example["findings"]]
    printed = json.loads(json.dumps(document(findings, datetime(2026, 11, 27, 20, 15, tzinfo=timezone.utc))))
    printed["counts"]["ok"] = 1  # the page shows one finding of two
    assert printed == example
    assert example["schema"] == SCHEMA


def test_the_service_is_looked_at_as_the_page_says() -> None:
    assert f"{AS_SERVICE} doctor" in PAGE
