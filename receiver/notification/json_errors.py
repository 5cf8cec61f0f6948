"""Parses JSON; for a body that is none it returns where it breaks, and what the template did."""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

from receiver.core.credential_texts import credential_spans, without_credentials
from receiver.core.errors import PayloadError

WAY_OUT = "write values in the template as {{toJson .app.metadata.name}}, without quotes round it"

AROUND = 40
"""Bytes of the excerpt on either side of the place."""

QUOTED_TWICE = re.compile(rb':\s*"[\[{]*".\Z', re.DOTALL)
"""``"key": ""v`` or ``"key": "{"v``, broken at the v."""

NO_VALUE = "<no value>"
"""What a template prints for a field that is not there."""

MISSING = re.compile(rb'(?<!\\)"<no value>"(?!\s*:)')
"""A whole text of these words, as a value: neither a part of a longer one nor a key."""

PLACE = re.compile(r" at line (\d+) column (\d+)$")


MARKS = b"{[,:"
"""JSON has one of these for each object and list, and for each value in them. Those in texts are
counted too: no text of Argo CD has so many that it would matter."""


def _check_values(body: bytes, most: int) -> None:
    """Refuse a body of more than ``most`` `MARKS`: each may take 100 bytes of memory once read.

    Raises:
        PayloadError: ``too_many_values``.
    """
    if len(body) <= most:
        return
    found = sum(body.count(mark) for mark in MARKS)
    if found > most:
        raise PayloadError(
            "too_many_values",
            f"the body has too many values to read: {found} brackets, commas and colons, "
            f"more than {most}",
            hint="name only the fields needed in the template, as `postsync argocd-config` does; "
            "or raise maxBody (POSTSYNC_MAX_BODY), of whose bytes an eighth may be such",
        )


def read_json(body: bytes, values: int | None = None) -> Any:
    """Read a body as JSON, if it has no more than about so many values.

    A byte order mark is skipped, and ``"<no value>"`` is null. The escaped NUL, which
    PostgreSQL cannot store, becomes U+FFFD.

    Raises:
        PayloadError: ``too_many_values``, ``empty``, ``not_json`` or ``double_encoded``.
    """
    if values is not None:
        _check_values(body, values)
    if not body.strip():
        raise PayloadError(
            "empty",
            "the request has no body",
            hint="the template needs an entry for this webhook with method and body",
        )
    body = body.removeprefix(BOM_UTF8)
    text = body.replace(b"\\u0000", b"\\ufffd")
    if NO_VALUE.encode() in text:  # the search for it alone takes longer than all of the parsing
        text = _with_nulls(text)
    try:
        tree = from_json(text)
    except ValueError as error:
        raise _broken(body, str(error)) from None
    if isinstance(tree, str) and looks_encoded(tree):
        raise PayloadError(
            "double_encoded",
            "the body is a JSON string that contains JSON",
            hint="it went through toJson twice, or stands in quotes: use toJson once, unquoted",
        )
    return tree


def _with_nulls(text: bytes) -> bytes:
    """Write null for each `MISSING`; `re.sub` would take 100 bytes for each until it has all."""
    written, at = bytearray(), 0
    for one in MISSING.finditer(text):
        written += text[at : one.start()]
        written += b"null"
        at = one.end()
    written += text[at:]
    return bytes(written)


def read_query(query: Mapping[str, str]) -> dict[str, str]:
    """Read the parameters of an address by the same rules."""
    return {
        key: value.replace("\0", "\ufffd")
        for key, value in query.items()
        if value.strip() != NO_VALUE
    }


def looks_encoded(text: str) -> bool:
    """Whether a string seems to hold a JSON object or array."""
    return text.lstrip()[:1] in ("{", "[")


def _broken(body: bytes, problem: str) -> PayloadError:
    at = _offset(body, problem)
    line, column = body.count(b"\n", 0, at) + 1, at - body.rfind(b"\n", 0, at)
    before, after = body[max(0, at - AROUND) : at + 1], body[at + 1 : at + AROUND]
    excerpt = _excerpt(body, at)
    return PayloadError(
        "not_json",
        f"the body is not JSON: {PLACE.sub('', problem)} at line {line}, column {column}, "
        f"near {excerpt!r}",
        hint=f"{_diagnosis(before, after, problem)}{WAY_OUT}",
        line=line,
        column=column,
        excerpt=excerpt,
    )


def _excerpt(body: bytes, at: int) -> str:
    """Return what stands round a place, without what names before it call a credential.

    It goes into logs and to whoever asks for a refused notification.
    """
    text = body[: at + AROUND].decode("utf-8", "replace")
    start = len(body[: max(0, at - AROUND)].decode("utf-8", "replace"))
    return without_credentials(text, credential_spans(text), start)


def _offset(body: bytes, problem: str) -> int:
    """Find the byte that the parser stumbled over; column 0 is the line break before a line."""
    place = PLACE.search(problem)
    if place is None:
        return 0
    start = 0
    for _ in range(int(place[1]) - 1):
        start = body.find(b"\n", start) + 1
    return max(0, min(start + int(place[2]), len(body)) - 1)


def _diagnosis(before: bytes, after: bytes, problem: str) -> str:
    near = before + after
    if b"<no value>" in near:
        return "<no value> is a field that the Application does not have; "
    if b"map[" in near:
        return "map[...] is an object printed without toJson; "
    if "control character" in problem:
        return "a line break or tab of a value stands inside quotes; "
    if QUOTED_TWICE.search(before):
        return "a value that toJson wrote stands in quotes of its own; "
    return ""
