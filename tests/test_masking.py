"""Secrets are masked in every spelling in which another side may echo them."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from receiver.masking import MASK, SHORTEST, Masker

SECRETS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=SHORTEST, max_size=40
)
USERS = st.text(st.characters(codec="ascii", exclude_characters=":"), max_size=6)
UNDECODED = 2
"""Characters of base 64 at either end that share bits with a neighbour, and stay."""


@given(secret=SECRETS, before=st.text(max_size=5), after=st.text(max_size=5))
def test_a_secret_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    """The plain value is gone, and a text that only has it is the mask alone."""
    masker = Masker([secret])
    assert masker.mask(secret) == MASK
    assert secret not in masker.mask(f"{before}|{secret}|{after}").replace(MASK, "")


@given(secret=SECRETS)
def test_spellings_of_text_formats_are_masked(secret: str) -> None:
    """JSON, HTML and the ways to write a URL leave nothing of it."""
    masker = Masker([secret])
    spellings = [
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        json.dumps(secret)[1:-1].replace("/", "\\/"),
        html.escape(secret),
        html.escape(secret, quote=False),
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        re.sub("%..", lambda found: found[0].lower(), quote(secret)),
        re.sub("%..", lambda found: found[0].lower(), quote(secret, safe="")),
    ]
    assert {masker.mask(spelling) for spelling in spellings} == {MASK}


@given(secret=SECRETS, user=USERS, after=st.binary(max_size=4), safe=st.booleans())
def test_base_64_is_masked_at_every_shift(secret: str, user: str, after: bytes, safe: bool) -> None:
    """In `user:secret` of any length, and in front of anything, only bits at the ends stay."""
    assume(not set(user) & set(secret))
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    front = f"{user}:".encode()
    assume(":" not in secret and secret.encode() not in (user.encode(), after))
    whole = encode(front + secret.encode() + after).decode()
    masked = Masker([secret]).mask(whole)
    assert MASK in masked
    head, _, tail = masked.partition(MASK)
    assert len(head) <= len(front) * 8 // 6 + UNDECODED
    assert len(tail) <= -(-len(after) // 3) * 4 + 4 + UNDECODED


def test_case_in_percent_escapes_is_no_way_out() -> None:
    """A lower-case escape is masked, and the rest keeps its case."""
    assert Masker(["Ab/Cd=Ef"]).mask("?t=Ab%2fCd%3dEf&x") == "?t=[secret]&x"


def test_what_go_escapes_in_json_is_masked() -> None:
    """Half of what runs in a cluster is written in Go, which escapes <, > and & too."""
    assert Masker(["a<b>&c"]).mask('{"token":"a\\u003cb\\u003e\\u0026c"}') == '{"token":"[secret]"}'


def test_lines_of_a_key_file_are_masked_alone() -> None:
    """It may come back line by line; a short line of it is no secret."""
    masker = Masker(["-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\ntrue\n"])
    assert masker.mask("read MIIEvQIBADANBgkqhkiG, true") == "read [secret], true"


def test_a_newline_at_its_end_does_not_save_a_secret() -> None:
    """A value whose white space was stripped on the way is masked as well."""
    assert Masker([" padded-secret \n"]).mask("got padded-secret.") == "got [secret]."


def test_a_short_value_is_left() -> None:
    """Masking `ab` would tell where the letters stand in every word."""
    assert Masker(["ab", "abc"]).mask("abc about") == "abc about"


def test_the_longest_secret_wins() -> None:
    """Where one secret begins with another, no rest of the longer one stays."""
    assert Masker(["token", "token-and-more"]).mask("a token-and-more b") == "a [secret] b"


def test_without_secrets_nothing_changes() -> None:
    """A masker of nothing is the identity."""
    tree = {"a": ["b", 1, None]}
    assert Masker(()).mask("text") == "text"
    assert Masker(()).mask_tree(tree) is tree  # type: ignore[arg-type]  # lists are invariant


def test_trees_are_masked_in_keys_values_and_numbers() -> None:
    """A secret of digits is masked where it comes back as a number, and others stay numbers."""
    tree = {"my-secret": [{"x": "a my-secret b"}, 12345678, 1234, True, None, 1.5]}
    masked = Masker(["my-secret", "12345678"]).mask_tree(tree)  # type: ignore[arg-type]  # likewise
    assert masked == {"[secret]": [{"x": "a [secret] b"}, "[secret]", 1234, True, None, 1.5]}


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (b"token=hunter", b"token="),
        (b"token=h", b"token="),
        (b"token=x", b"token=x"),
        (b"aHVudGV", b""),
        (b"", b""),
    ],
)
def test_half_a_secret_at_a_cut_is_dropped(body: bytes, left: bytes) -> None:
    """What may be the beginning of a secret at the end of a cut text goes, all else stays."""
    assert Masker(["hunter22-long"]).without_half(body) == left


@given(secret=SECRETS, cut=st.integers(1, 40))
def test_no_cut_shows_a_beginning(secret: str, cut: int) -> None:
    """Wherever the cut falls, what is left does not end in the secret's beginning."""
    whole = f"#{secret}".encode()
    left = Masker([secret]).without_half(whole[: min(cut, len(whole) - 1)])
    assert not left.endswith(secret.encode()[:1]) or left == b"#"
