from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from receiver.contract import cut, cut_bytes


@given(st.text(max_size=30), st.integers(1, 20))
def test_a_text_has_at_most_so_many_characters(text: str, most: int) -> None:
    """What fits is left as it is; of what does not, the beginning and a sign that more follows."""
    got = cut(text, most)
    assert got == (text if len(text) <= most else text[: most - 1] + "…")
    assert len(got) <= most


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.integers(3, 40))
def test_or_so_many_bytes_of_whole_characters(text: str, most: int) -> None:
    """As many as fit: a further one would be too much."""
    got = cut_bytes(text, most)
    assert len(got.encode()) <= most
    if got != text:
        kept = got.removesuffix("…")
        assert text.startswith(kept)
        assert len(f"{text[: len(kept) + 1]}…".encode()) > most
