"""Checks that no secret is in an attempt's outcome, whatever the other side echoes."""

from __future__ import annotations

import base64
import html
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import product
from typing import Any
from urllib.parse import quote, quote_plus

from receiver.core.model import Json
from receiver.testkit.attempts import Attempted, attempt, secret_values, written_parameters
from receiver.testkit.cases import Case, ContractBroken, Served, Subject
from receiver.testkit.server import Fault, Reply

WINDOW = 8
"""Characters of a secret that must not be told: half a secret is half the work of guessing."""
TIMES = 40
"""How often an echo repeats the secrets, so that wherever a handler cuts, it cuts one."""
SHIFTS = (0, 12)
"""Characters before the echo: a cut that falls between two secrets in one falls into one in the
other."""
USER = "user:"
ASTRAL = 0x10000
"""From here on, JSON escapes a character as two."""


def check_secrets(subject: Subject, cases: Iterable[Case]) -> None:
    """No secret, nor a piece of one, is in a reason, an output, a state or a line.

    Most cases differ in bodies alone, whose place the echo takes: what is the same is tried once.
    """
    tried: list[tuple[list[Served], dict[str, Any], Json]] = []
    for case in cases:
        if case.script[-1] is Fault.SILENT:  # it shows no more than a reset, and takes longer
            continue
        tree = dict(case.parameters) if case.parameters is not None else written_parameters(subject)
        secrets = list(secret_values(subject, tree).values())
        for script in _echoes(case, _echo_text(secrets)):
            if (script, tree, case.state) not in tried:
                tried.append((script, tree, case.state))
                made = attempt(subject, script, parameters=case.parameters, state=case.state)
                _check_texts(case, made, secrets)


def _check_texts(case: Case, made: Attempted, secrets: Sequence[str]) -> None:
    pieces = frozenset[str]().union(*map(_pieces, secrets))
    for place, text in _texts_of(made):
        found = next((piece for piece in _windows(text) if piece in pieces), None)
        if found is not None:
            raise ContractBroken(
                f"{case}: the {place} has a piece of a secret ({found!r}): "
                "use Answer.excerpt, or Answer.mask before you cut a text"
            )


def _echo_text(secrets: Sequence[str]) -> str:
    forms = " ".join(form for secret in secrets for form, _ in _forms(secret))
    return forms + (" " + " ".join(secrets)) * TIMES


def _echoes(case: Case, echo_text: str) -> list[list[Served]]:
    """Return the case's answers with the secrets in their headers and bodies."""
    found = [
        [_echo(one, echo(one, " " * shift + echo_text), echo_text) for one in case.script]
        for echo, shift in product((_as_text, _in_json), SHIFTS)
    ]
    return [script for place, script in enumerate(found) if script not in found[:place]]


def _echo(served: Served, body: bytes, echo_text: str) -> Served:
    if not isinstance(served, Reply):
        return served
    return replace(served, body=body, headers={**served.headers, "X-Echo": echo_text})


def _as_text(_served: Served, echo_text: str) -> bytes:
    return echo_text.encode() + json.dumps(echo_text).encode()


def _in_json(served: Served, echo_text: str) -> bytes:
    """Put the echo into a JSON body, which says what it said before; as text where it is none."""

    def put(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {**{key: put(value) for key, value in tree.items()}, "message": echo_text}
        return [put(item) for item in tree] if isinstance(tree, list) else tree

    body = served.body if isinstance(served, Reply) else b""
    try:
        return json.dumps(put(json.loads(body))).encode()
    except ValueError:
        return _as_text(served, echo_text)


def _texts_of(made: Attempted) -> Iterator[tuple[str, str]]:
    outcome = made.outcome
    yield "reason", outcome.reason
    yield from (("line on the trail", note) for note in outcome.notes)
    yield from (("output", text) for text in _texts(outcome.output))
    yield from (("state", text) for text in _texts(outcome.state))


def _texts(tree: Json) -> Iterator[str]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield key
            yield from _texts(value)
    elif isinstance(tree, list):
        for item in tree:
            yield from _texts(item)
    else:
        yield str(tree)


@lru_cache(maxsize=16)
def _pieces(secret: str) -> frozenset[str]:
    """Return the pieces of a secret in all its spellings; those of a long one are many."""
    return frozenset(piece for form, start in _forms(secret) for piece in _windows(form[start:]))


def _windows(text: str) -> Iterator[str]:
    return (text[at : at + WINDOW] for at in range(len(text) - WINDOW + 1))


def _forms(secret: str) -> Iterator[tuple[str, int]]:
    """Yield the spellings in which another side may echo a secret, and where it begins there.

    The echo in JSON adds a further layer to each.
    """
    plain = (secret, html.escape(secret), quote(secret, safe=""), json.dumps(secret)[1:-1])
    yield from ((form, 0) for form in (*plain, quote_plus(secret)))
    data = secret.encode()
    yield "".join(f"%{byte:02X}" for byte in data), 0
    yield "".join(f"&#{ord(one)};" for one in secret), 0
    yield "".join(f"\\u{ord(one):04x}" for one in secret if ord(one) < ASTRAL), 0
    yield data.hex(), 0
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(data).decode(), 0
        yield encode((USER + secret).encode()).decode(), math.ceil(len(USER) * 8 / 6)
