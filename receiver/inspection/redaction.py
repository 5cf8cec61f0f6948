"""Masks in what others have sent what its names call a credential.

Postsync does not know other people's secrets. But a template may send Helm values or a manifest,
and where a name says `password`, nobody needs to see what stands there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from receiver.outbound.credential_names import names_a_credential
from receiver.outbound.secret_masking import MASK

_IN_ADDRESS = re.compile(r"(?<=://)[^/?#@\s\"'<>]+(?=@)")
"""The user and the password of an address."""

_IN_QUERY = re.compile(r"([?&;])([\w.-]+)=([^&;#\s\"'<>]+)")
_IN_LINE = re.compile(
    r"^([ \t\"'-]*(?:export )?)([\w.][\w.-]*)([\"']?[ \t]*[:=][ \t]*)(\S.*)$", re.MULTILINE
)
"""``name: value`` or ``name=value``, as files have it: Helm values, variables. A name begins with
no dash: where two parts may take the same characters, each way to share them would be tried."""

_SUSPECT = re.compile(r"[=:{\[]")
"""A text without any of these is none of the above: most are, and are not searched further."""

_LONGEST = 200
"""Characters of a name, from its end, that are asked about and remembered: it may have megabytes,
and what calls it a credential is its end."""

_asked = lru_cache(maxsize=4096)(names_a_credential)

_DATA = frozenset({"data", "stringData"})
"""What a Secret's manifest has its values under."""


def redacted(tree: Any) -> Any:
    """Return a tree of JSON with a mask for each value that a name calls a credential.

    Labels stay: whoever may look at an Application sees them, and rules ask for them.
    """
    if isinstance(tree, str):
        return redacted_text(tree)
    if isinstance(tree, list):
        return [redacted(item) for item in tree]
    return _redacted_object(tree) if isinstance(tree, dict) else tree


def _redacted_object(tree: dict[str, Any]) -> dict[str, Any]:
    """Return an object so; what names a value may stand beside it, as Helm's parameters have it."""
    hidden: set[str] = set()
    if isinstance(name := tree.get("name"), str) and _is_credential(name):
        hidden |= {"value"}
    if tree.get("kind") == "Secret":
        hidden |= _DATA
    found = {}
    for key, item in tree.items():
        if key in hidden or _is_credential(key):
            found[key] = _masked(item)
        else:
            found[key] = item if key == "labels" else redacted(item)
    return found


def redacted_text(text: str) -> str:
    """Return a text so: its addresses, its lines of ``name: value``, and JSON in it."""
    if not _SUSPECT.search(text):
        return text
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return _redacted_json(text)
        except RecursionError:
            return MASK
        except ValueError:
            pass
    text = _IN_ADDRESS.sub(MASK, text)
    text = _IN_QUERY.sub(lambda found: _named(found, f"{found[1]}{found[2]}="), text)
    return _IN_LINE.sub(lambda found: _named(found, found[1] + found[2] + found[3]), text)


def _redacted_json(text: str) -> str:
    """Return a text of JSON so.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested deeper than Python can follow.
    """
    tree = json.loads(text)
    without = redacted(tree)
    return text if without == tree else json.dumps(without, ensure_ascii=False)


def redacted_query(query: Mapping[str, str]) -> dict[str, str]:
    """Return the parameters of an address so."""
    return {
        name: MASK if _is_credential(name) else redacted_text(value)
        for name, value in query.items()
    }


def _is_credential(name: str) -> bool:
    return _asked(name[-_LONGEST:])


def _named(found: re.Match[str], head: str) -> str:
    return head + MASK if _is_credential(found[2]) else found[0]


def _masked(tree: Any) -> Any:
    """Mask all values, and keep the form: a reference to a Secret has keys, too."""
    if isinstance(tree, dict):
        return {key: _masked(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_masked(item) for item in tree]
    return MASK if isinstance(tree, str | int | float) and not isinstance(tree, bool) else tree
