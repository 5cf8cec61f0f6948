"""Secrets are masked in every spelling in which another side may echo them."""

from __future__ import annotations

import base64
import html
import json
import re
import time
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from spellings import SPELLINGS, WRAPPED, spell

from receiver.core.credential_texts import MASK
from receiver.outbound import secret_masking as masking
from receiver.outbound.secret_decoding import Decoding, unescaped
from receiver.outbound.secret_masking import SHORTEST, Masker
from receiver.outbound.secret_parts import revealing_parts

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


def length_without_escapes(secret: str) -> int:
    """The length of what it says where its own escapes are read."""
    view = Decoding.of(secret.encode())
    while (deeper := unescaped(view)) is not view:
        view = deeper
    return len(view.data.decode("utf-8", "replace").strip())


@given(secret=SECRETS)
def test_spellings_of_text_formats_are_masked(secret: str) -> None:
    """JSON, HTML and the ways to write a URL leave nothing of it."""
    assume(length_without_escapes(secret) >= SHORTEST)
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
    assert Masker(["hunter22-long"]).without_partial_secret(body) == left


@given(secret=SECRETS, cut=st.integers(1, 40))
def test_no_cut_shows_a_beginning(secret: str, cut: int) -> None:
    """Wherever the cut falls, what is left does not end in the secret's beginning."""
    whole = f"#{secret}".encode()
    left = Masker([secret]).without_partial_secret(whole[: min(cut, len(whole) - 1)])
    assert not left.endswith(secret.encode()[:1]) or left == b"#"


SLACK = "https://hooks.slack.com/services/T0ABCDEF1/B0GHIJKL2/abcDEFghiJKLmnoPQRstuVWX"
TEAMS = (
    "https://acme.webhook.office.com/webhookb2/5f0c1c2e-7a55-4b1e-9d55-0f1e2d3c4b5a@9e1c7a44-11d2"
    "-4f2b-8a5e-3c2b1a0f9e8d/IncomingWebhook/0123456789abcdef0123456789abcdef/aa-bb-cc"
)
KEY = (
    "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nq83vEjRWeJq83vEjRWeJ12c0Zx\n"
    "Yg5kPa==\n-----END PRIVATE KEY-----\n"
)
ACCOUNT = json.dumps(
    {
        "type": "service_account",
        "project_id": "shop-production-123456",
        "private_key": KEY,
        "client_email": "purge@shop-production-123456.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
)
KUBECONFIG = """\
apiVersion: v1
kind: Config
clusters: [{name: prod, cluster: {server: "https://10.0.0.1:6443"}}]
users:
- name: postsync
  user:
    token: eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl
"""
TOKEN = "glpat-x8Zq_Wk3vXn5TrLm9"
KINDS = {
    "token": TOKEN,
    "odd": 'hush0&+/"<Zq8Wk3vXn5TrLm>',
    "other letters": "pässwörd-€-😀-long",
    "words": "correct horse battery",
    "with escapes": "a%41b\\ncd&amp;ef",
    "address": SLACK,
    "user": "https://user:s3cr3t/pw@host.example/path?token=abcd1234",
}
"""Of every kind that people keep, one."""


@settings(max_examples=300)
@given(
    secret=st.sampled_from(sorted(KINDS.values())),
    names=st.lists(st.sampled_from(sorted(SPELLINGS)), min_size=1, max_size=3),
    before=st.sampled_from(["", "Cannot POST ", "error: ", '{"a": "', "x="]),
    after=st.sampled_from(["", " and so on", '"}', "\n"]),
)
def test_a_secret_is_masked_in_every_spelling_of_a_spelling(
    secret: str, names: list[str], before: str, after: str
) -> None:
    """Up to three layers, as a service, its log and a proxy write them over one another."""
    masked = Masker([secret]).mask(before + spell(secret, *names) + after)
    assert MASK in masked
    if not WRAPPED & set(names):  # nothing else was written with it, so nothing else is left
        rest = masked.removeprefix(before).removesuffix(after).replace(MASK, "")
        assert len(rest) <= 2 * ENDS, rest  # `==` in entities of entities has 72 characters


ENDS = 40
"""Characters at the ends: bits that are shared, `==`, written again in two layers of escapes."""


@settings(max_examples=300)
@given(
    secret=st.sampled_from([SLACK, TEAMS, KEY, TOKEN, ACCOUNT, KUBECONFIG]),
    text=st.lists(
        st.sampled_from(["services", "webhook", "%2F", "&amp;", "\\n", "QUJDREVG", "purge", " "])
        | st.text(max_size=8),
        max_size=30,
    ).map("".join),
)
def test_a_text_without_the_secret_is_not_changed(secret: str, text: str) -> None:
    """Whatever is escaped or encoded in it."""
    assert Masker([secret]).mask(text) == text


PAGES = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))


@pytest.mark.parametrize("secret", [SLACK, TEAMS, KEY, TOKEN, ACCOUNT, KUBECONFIG])
def test_ordinary_pages_are_not_changed(secret: str) -> None:
    """Common words are parts of secret addresses and of files with a key in them."""
    masker = Masker([secret])
    pages = [page.read_text().replace("abcDEFghiJKLmnoPQRstuVWX", "") for page in PAGES]
    assert [masker.mask(page) for page in pages] == pages


@pytest.mark.parametrize(
    ("secret", "echo", "masked"),
    [
        (SLACK, "Cannot POST /services/T0ABCDEF1/B0GHIJKL2/abcDEFghiJKLmnoPQRstuVWX",
         "Cannot POST [secret]"),
        (SLACK, "no team T0ABCDEF1, at hooks.slack.com/services",
         "no team [secret], at hooks.slack.com/services"),
        (SLACK, "no hook abcdefghijklmnopqrstuvwx", "no hook [secret]"),
        ("https://h.example/in?sig=abcd&to=me", "sig is abcd", "sig is [secret]"),
        ("https://h.example/hook/swordfishes", "no route for swordfishes", "no route for [secret]"),
        ("https://ann:pa/ss@h.example/", "ann: pa/ss at h.example", "ann: [secret] at h.example"),
        ("https://api.telegram.org/bot12345678:AAHdqTcvCH1/send", "bot12345678 AAHdqTcvCH1 send",
         "[secret] [secret] send"),
        ("Bearer abc-DEF-123-ghi", "token abc-DEF-123-ghi", "token [secret]"),
        ("Basic dXNlcjpodW50ZXI=", "no user with hunter", "no user with [secret]"),
        (KEY, "line MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "line [secret]"),
        (KEY, "line Yg5kPa== of a PRIVATE KEY", "line [secret] of a PRIVATE KEY"),
        (ACCOUNT, "q83vEjRWeJq83vEjRWeJ12c0Zx of shop-production-123456",
         "[secret] of shop-production-123456"),
        (KUBECONFIG, "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzeXN0ZW0ifQ.c2lnbmF0dXJl at 10.0.0.1",
         "token [secret] at 10.0.0.1"),
        (TOKEN, "glpat-x8Z\n    q_Wk3v\r\n    Xn5TrLm9.", "[secret]."),
        (TOKEN, TOKEN.upper(), "[secret]"),
        (TOKEN, "\0".join(TOKEN), "[secret]"),
    ],
)  # fmt: skip
def test_a_telling_part_is_masked_where_it_stands_alone(
    secret: str, echo: str, masked: str
) -> None:
    """What a service picks out of what it was sent; hosts and common words stay."""
    assert Masker([secret]).mask(echo) == masked


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        (SLACK, {"hooks.slack.com", "services"}),
        ("https://h.example/api/v1alpha1/notifications/T0ABCDEF1", {"v1alpha1", "notifications"}),
        (KUBECONFIG, {"postsync", "https://10.0.0.1:6443", "apiVersion: v1"}),
        (ACCOUNT, {"service_account", "shop-production-123456", "-----BEGIN"}),
        ("just-a-password", {"password", "just-a"}),
    ],
)
def test_common_words_are_no_telling_parts(secret: str, words: set[str]) -> None:
    """Masked everywhere, they would make messages unreadable and tell nothing less."""
    assert not words & revealing_parts(secret)


@pytest.mark.parametrize("names", [("quote all",), ("hex",), ("base64",), ("JSON", "base64"),
                                   ("percent of all",), ("Unicode escapes", "JSON")])  # fmt: skip
@pytest.mark.parametrize("share", [0.4, 0.7, 0.9])
def test_half_an_encoded_secret_at_a_cut_is_dropped(names: tuple[str, ...], share: float) -> None:
    """A limit cuts through escapes, and through base 64."""
    secret = KINDS["odd"]
    whole = f"sent: {spell(secret, *names)}".encode()
    left = Masker([secret]).without_partial_secret(whole[: int(len(whole) * share)])
    told = Decoding.of(left)
    for _ in range(3):
        told = unescaped(told)
    assert len(left) <= len("sent: ") + ENDS // 2
    assert secret.encode()[:4] not in told.data


HARD = {
    "escapes of escapes": "%" + "25" * 100_000,
    "backslashes": "\\" * 200_000,
    "base 64 in base 64": spell("V" * 50_000, "base64", "base64", "base64"),
    "one letter": "V" * 200_000,
    "digits": "55" * 100_000,
    "beginnings": "glpat-" * 40_000,
    "secrets": TOKEN * 10_000,
    "entities": "&amp;" * 50_000,
}


@pytest.mark.parametrize("text", HARD.values(), ids=HARD)
def test_no_answer_keeps_it_busy(text: str) -> None:
    """What is built to be read again and again is read a few times: minutes would be squares."""
    masker = Masker([TOKEN, SLACK, KEY])
    began = time.process_time()
    masker.mask(text)
    masker.without_partial_secret(text.encode())
    assert time.process_time() - began < 30


def test_a_text_that_would_be_read_too_often_is_masked_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Not searched, it might have the secret."""
    monkeypatch.setattr(masking, "READ", 1)
    monkeypatch.setattr(masking, "SPARE", 0)
    assert Masker([TOKEN]).mask("%25" * 100) == MASK
    assert Masker([TOKEN]).without_partial_secret(b"%25" * 100) == b""
