from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from receiver.contract import cut, cut_bytes
from receiver.core.index_key import LONGEST, index_key


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


@given(st.text(st.characters(), max_size=300), st.integers(1, 20))
def test_the_key_of_any_text_is_no_longer_than_an_index_takes(text: str, times: int) -> None:
    """What fits is left as it is; what does not begins as it did, and says that it is a digest."""
    long = text * times
    got = index_key(long)
    assert len(got.encode("utf-8", "replace")) <= LONGEST
    if got != long:
        assert "…sha256:" in got


def test_long_texts_that_differ_in_their_last_letter_have_different_keys() -> None:
    """Else plans of two of them would wait for each other."""
    assert index_key("a" * 20_000 + "b") != index_key("a" * 20_000 + "c")
    assert index_key("a" * 20_000 + "b") == index_key("a" * 20_000 + "b")
