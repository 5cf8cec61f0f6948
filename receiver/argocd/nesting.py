"""Cuts out of JSON what is nested deeper than Python reads.

An API server takes 10,000 levels. Whoever may write one object would otherwise keep all others of
its list from being read.
"""

from __future__ import annotations

import re

DEEPEST = 300
"""Levels that are kept: more than a rule may have, and than the kinds of Kubernetes have."""

_SIGNS = re.compile(rb'"(?:[^"\\]|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


def without_depths(data: bytes) -> bytes:
    """Return JSON with null in place of what is nested deeper."""
    kept: list[bytes] = []
    depth = start = 0
    for found in _SIGNS.finditer(data):
        if found[0] in {b"[", b"{"}:
            if depth == DEEPEST:
                kept += (data[start : found.start()], b"null")
            depth += 1
        elif found[0] in {b"]", b"}"}:
            depth -= 1
            if depth == DEEPEST:
                start = found.end()
    return b"".join((*kept, data[start:]))
