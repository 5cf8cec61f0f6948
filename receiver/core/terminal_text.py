"""Escapes control characters in text for a terminal: names and messages are other people's."""

from __future__ import annotations


def escape_controls(text: str) -> str:
    """Escape what a terminal would obey, or what would turn or break a line.

    That is whatever Python calls not printable: control characters, so the beginning of each
    escape sequence and every line break, format characters, so the bidirectional controls and those
    that nobody sees, lone surrogates, and spaces other than the usual one.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text
    )
