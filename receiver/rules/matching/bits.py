"""Sets of small numbers as the bits of one integer: thousands are intersected in a step."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import compress, count

FLAGS = bytes.maketrans(b"01", b"\0\1")


def bits_of(numbers: Iterable[int], size: int) -> int:
    """Return the set of these numbers, each below ``size``."""
    digits = bytearray(b"0") * (size + 1)
    for number in numbers:
        digits[size - number] = 49  # the digit 1
    return int(digits, 2)


def numbers_in(bits: int) -> tuple[int, ...]:
    """Return the numbers of the set, ascending."""
    return tuple(compress(count(), bin(bits)[:1:-1].encode().translate(FLAGS)))
