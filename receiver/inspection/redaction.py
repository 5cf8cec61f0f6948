"""Masks in what others have sent what its names call a credential.

Postsync does not know other people's secrets. But a template may send Helm values or a manifest,
and where a name says `password`, nobody needs to see what stands there.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from receiver.core.credential_texts import (
    DATA,
    MASK,
    credential_spans,
    is_credential,
    without_credentials,
)


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
    if isinstance(name := tree.get("name"), str) and is_credential(name):
        hidden |= {"value"}
    if tree.get("kind") == "Secret":
        hidden |= DATA
    found = {}
    for key, item in tree.items():
        if key in hidden or is_credential(key):
            found[key] = _masked(item)
        else:
            found[key] = item if key == "labels" else redacted(item)
    return found


def redacted_text(text: str) -> str:
    """Return a text so: its addresses, its lines of ``name: value``, and JSON in it."""
    if text.lstrip()[:1] in {"{", "["}:
        try:
            return _redacted_json(text)
        except RecursionError:
            return MASK
        except ValueError:
            pass
    return without_credentials(text, credential_spans(text))


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
        name: MASK if is_credential(name) else redacted_text(value) for name, value in query.items()
    }


def _masked(tree: Any) -> Any:
    """Mask all values, and keep the form: a reference to a Secret has keys, too."""
    if isinstance(tree, dict):
        return {key: _masked(item) for key, item in tree.items()}
    if isinstance(tree, list):
        return [_masked(item) for item in tree]
    return MASK if isinstance(tree, str | int | float) and not isinstance(tree, bool) else tree
