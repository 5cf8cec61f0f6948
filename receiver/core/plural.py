"""Writes how many there are of something, for people."""

from __future__ import annotations


def plural(number: int, word: str) -> str:
    """Return a number with its word: ``1 run``, ``1,204 runs``."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"
