"""Cuts texts to a length that a service documents.

A service refuses a text that is too long, and the request with it: the status of a commit would not
be written because the failure's message is long.
"""

from __future__ import annotations

CUT = "…"


def cut(text: str, most: int) -> str:
    """Return at most so many characters (code points); of a longer text the last one is `…`."""
    return text if len(text) <= most else text[: most - len(CUT)] + CUT


def cut_bytes(text: str, most: int) -> str:
    """Return at most so many bytes of UTF-8, whole characters; a longer text ends in `…`."""
    whole = text.encode()
    if len(whole) <= most:
        return text
    return whole[: most - len(CUT.encode())].decode(errors="ignore") + CUT
