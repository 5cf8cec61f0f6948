"""Decodes escapes, base 64 and hex, and maps each decoded byte to its place in the original text.

Everything is bytes, texts as UTF-8: what percent escapes, base 64 and hex stand for are bytes.
"""

from __future__ import annotations

import binascii
import re
import string
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from html.entities import html5
from itertools import compress

Span = tuple[int, int]
Place = Callable[[int], Span]
"""Maps an index of the decoded bytes to its span in the original text: begin and end."""

LAST = 0x10FFFF
"""The last character of Unicode."""
LONGEST = 12
"""Bytes of an escape."""
LEAST = 8
"""Characters that are searched for inside base 64 and hex; a shorter part reveals nothing."""
WHITE = b" \t\r\n\v\f\0"
"""What stands where a text was split over lines; NUL between the letters of UTF-16."""

_ESCAPE = re.compile(
    rb"""
      (?:%|\\x)(?P<byte>[0-9A-Fa-f]{2})                  # URLs; Python, C
    | (?P<units>(?:[\\%]u[0-9A-Fa-f]{4})+)              # JSON, and `escape` of JavaScript
    | \\u\{(?P<braced>[0-9A-Fa-f]{1,6})\}               # JavaScript, Rust
    | \\U(?P<long>[0-9A-Fa-f]{8})                       # Python
    | \\(?P<octal>[0-3][0-7]{2})                        # C, Go
    | \\(?P<letter>.)                                  # all of them
    | &\#(?P<decimal>[0-9]{1,7});?                     # HTML
    | &\#[xX](?P<hexadecimal>[0-9A-Fa-f]{1,6});?
    | &(?P<name>[A-Za-z][A-Za-z0-9]{1,31});?
    """,
    re.VERBOSE | re.DOTALL,
)
_HALF = re.compile(rb"(?:%[uU]?|\\[uUx]?\{?|&\#?[xX]?)[0-9A-Za-z]{0,8}\Z")
_FOUR = re.compile(rb"[0-9A-Fa-f]{4}")
_CONTROLS = {b"n": b"\n", b"r": b"\r", b"t": b"\t", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_BASE_64 = re.compile(rb"[A-Za-z0-9+/]{%d,}" % -(-LEAST * 4 // 3))
_HEX = re.compile(rb"(?:[0-9A-Fa-f]{2}){%d,}[0-9A-Fa-f]?" % LEAST)
_OF_BASE_64 = (string.ascii_letters + string.digits + "+/").encode()
_OF_HEX = string.hexdigits.encode()
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_READABLE = re.compile(
    rb"(?:[\t\n\r\x20-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}"
    rb"|[\xf0-\xf4][\x80-\xbf]{3}){%d}" % LEAST
)


@dataclass(slots=True, eq=False)
class Decoding:
    """One decoding of a text: its bytes, and where in the original text they came from."""

    data: bytes
    _place: Place

    @classmethod
    def of(cls, data: bytes) -> Decoding:
        """Return the text as it is, undecoded."""
        return cls(data, lambda at: (at, at + 1))

    def span(self, start: int, end: int) -> Span:
        """Return where in the original text the bytes from ``start`` to ``end`` came from."""
        return self._place(start)[0], self._place(end - 1)[1]

    def lowered(self) -> Decoding:
        """Return it with the letters A to Z as a to z."""
        return Decoding(self.data.lower(), self._place)

    def without_partial_escape(self) -> Decoding:
        """Return it without an escape at its end that may have been cut in half."""
        half = _HALF.search(self.data, max(0, len(self.data) - LONGEST))
        return Decoding(self.data[: half.start()], self._place) if half else self

    def packed(self) -> Decoding:
        """Return it without white space, base 64 of URLs as the other one."""
        return self.without(WHITE, _URL_SAFE)

    def without(self, dropped: bytes, table: bytes | None = None) -> Decoding:
        """Return it without these bytes, the others mapped by ``table`` of `bytes.translate`."""
        data = self.data.translate(table, dropped)
        if len(data) == len(self.data):
            return Decoding(data, self._place)
        kept: list[int] = []

        def place(at: int) -> Span:
            if not kept:  # computed only when something was found
                stays = self.data.translate(bytes(byte not in dropped for byte in range(256)))
                kept.extend(compress(range(len(stays)), stays))
            return self._place(kept[at])

        return Decoding(data, place)


def unescaped(view: Decoding) -> Decoding:
    """Return what its escapes stand for, one layer of each kind; the same view if it has none."""
    data, made, last = view.data, bytearray(), 0
    news, olds, widths = array("Q", [0]), array("Q", [0]), array("Q", [0])
    for found in _ESCAPE.finditer(data):
        kind = found.lastgroup or ""
        meant = _MEANT[kind](found[kind])
        if meant is None:
            continue
        start, end = found.span()
        made += data[last:start]
        news.extend((len(made), len(made) + len(meant)))
        olds.extend((start, end))
        widths.extend((end - start, 0))
        made += meant
        last = end
    if last == 0:
        return view
    made += data[last:]

    def place(at: int) -> Span:
        step = bisect_right(news, at) - 1
        if widths[step]:
            return view.span(olds[step], olds[step] + widths[step])
        old = olds[step] + at - news[step]
        return view.span(old, old + 1)

    return Decoding(bytes(made), place)


def decoded(view: Decoding) -> Iterator[Decoding]:
    """Yield what is a text in base 64 (also that of URLs) or hex, split over lines or not.

    Where such a text begins cannot be seen behind other letters, so each shift is read, and
    left out unless something readable comes of it.
    """
    if len(view.data) < LEAST:
        return
    packed = view.packed()
    for found in _BASE_64.finditer(packed.data):
        yield from filter(_readable, _from_base_64(packed, *found.span()))
    for found in _HEX.finditer(packed.data):
        yield from filter(_readable, _from_hex(packed, *found.span()))


def decoded_end(view: Decoding) -> Iterator[Decoding]:
    """Yield what the last characters of a text that was cut may be in base 64 or hex."""
    packed = view.packed()
    size = len(packed.data)
    yield from _from_base_64(packed, len(packed.data.rstrip(_OF_BASE_64)), size)
    yield from _from_hex(packed, len(packed.data.rstrip(_OF_HEX)), size)


def _readable(view: Decoding) -> bool:
    return _READABLE.search(view.data) is not None


def _from_base_64(packed: Decoding, start: int, end: int) -> Iterator[Decoding]:
    for begin in range(start, min(start + 4, end)):
        run = packed.data[begin:end]
        run = run[:-1] if len(run) % 4 == 1 else run  # 6 bits are no byte
        raw = binascii.a2b_base64(run + b"=" * (-len(run) % 4))
        yield Decoding(raw, _base_64_places(packed, begin))


def _base_64_places(packed: Decoding, begin: int) -> Place:
    return lambda at: packed.span(begin + at * 8 // 6, begin + ((at + 1) * 8 + 5) // 6)


def _from_hex(packed: Decoding, start: int, end: int) -> Iterator[Decoding]:
    for begin in range(start, min(start + 2, end)):
        raw = binascii.a2b_hex(packed.data[begin : end - (end - begin) % 2])
        yield Decoding(raw, _hex_places(packed, begin))


def _hex_places(packed: Decoding, begin: int) -> Place:
    return lambda at: packed.span(begin + 2 * at, begin + 2 * at + 2)


def _utf_16_units(escapes: bytes) -> bytes:
    """Read units of UTF-16: a character beyond U+FFFF has two."""
    units = bytes.fromhex(b"".join(_FOUR.findall(escapes)).decode())
    return units.decode("utf-16-be", "surrogatepass").encode("utf-8", "surrogatepass")


def _html_entity(name: bytes) -> bytes | None:
    meant = html5.get(f"{name.decode()};")
    return None if meant is None else meant.encode()


def _character(code: int) -> bytes | None:
    return None if code > LAST else chr(code).encode("utf-8", "surrogatepass")


_MEANT: dict[str, Callable[[bytes], bytes | None]] = {
    "byte": lambda digits: bytes([int(digits, 16)]),
    "units": _utf_16_units,
    "braced": lambda digits: _character(int(digits, 16)),
    "long": lambda digits: _character(int(digits, 16)),
    "octal": lambda digits: bytes([int(digits, 8)]),
    "letter": lambda letter: _CONTROLS.get(letter, letter),
    "decimal": lambda digits: _character(int(digits)),
    "hexadecimal": lambda digits: _character(int(digits, 16)),
    "name": _html_entity,
}
"""By the group of `_ESCAPE`: what its text stands for, None if it is no escape after all."""
