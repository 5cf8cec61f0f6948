"""Bounds a text that an index of the ledger is to hold: one in PostgreSQL refuses a long row.

A row of an index has 2,704 bytes there at most, and what it refuses fails the whole transaction.
What Argo CD has sent is refused at the door instead; what expressions and live objects make has no
door, and stands for itself by a digest.
"""

from __future__ import annotations

import hashlib

from receiver.core.storable import storable

LONGEST = 700
"""Bytes of UTF-8: two such texts, with names of Kubernetes beside them, fit in one row. What names
an object in Kubernetes has fewer."""

BEGINNING = 600


def index_key(text: str) -> str:
    """Return a text that differs for different texts: of a long one its beginning and its digest.

    Without a space in what is added, see `receiver.rules.tenants.names.tenant_of_lane`.
    """
    whole = storable(text).encode()
    if len(whole) <= LONGEST:
        return text
    beginning = whole[:BEGINNING].decode(errors="ignore")
    return f"{beginning}…sha256:{hashlib.sha256(whole).hexdigest()}"
