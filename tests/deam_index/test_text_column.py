"""Texts in a buffer are as good as a tuple of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emomusic_edge.deam_index.text_column import TextColumn

texts = st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8), max_size=40)


@given(texts, st.data())
def test_it_is_the_sequence_it_was_made_of(given_texts: list[str], data: st.DataObject) -> None:
    column = TextColumn.of(given_texts)
    assert list(column) == given_texts
    assert column == tuple(given_texts)
    assert (tuple(given_texts) == column) is True
    assert len(column) == len(given_texts)
    assert column != (*given_texts, "more")
    rows = st.integers(-len(given_texts) - 2, len(given_texts) + 1)
    cut = slice(data.draw(rows), data.draw(rows), data.draw(st.sampled_from([1, 2, -1])))
    assert column[cut] == tuple(given_texts[cut])
    row = data.draw(rows)
    if -len(given_texts) <= row < len(given_texts):
        assert column[row] == given_texts[row]
    else:
        with pytest.raises(IndexError):
            column[row]


@given(texts, st.text(max_size=3))
def test_a_text_is_found_where_it_stands(given_texts: list[str], other: str) -> None:
    column = TextColumn.of(given_texts)
    for text in [*given_texts, other]:
        assert (text in column) == (text in given_texts)
        if text in given_texts:
            assert column.index(text) == given_texts.index(text)
        else:
            with pytest.raises(ValueError, match="not in the column"):
                column.index(text)


def test_a_part_of_a_text_is_not_found() -> None:
    column = TextColumn.of(["12", "2", "", "1"])
    assert [column.index(text) for text in ("12", "2", "", "1")] == [0, 1, 2, 3]
    assert 2 not in column  # type: ignore[comparison-overlap]


def test_iteration_over_more_than_a_chunk() -> None:
    names = [f"song {number}" for number in range(10_000)]
    assert list(TextColumn.of(names)) == names


def test_a_null_character_is_refused() -> None:
    with pytest.raises(ValueError, match="null byte"):
        TextColumn.of(["a\0b"])
    with pytest.raises(ValueError, match="null byte"):
        TextColumn(np.frombuffer(b"a\0b\0", np.uint8), np.array([3]))
