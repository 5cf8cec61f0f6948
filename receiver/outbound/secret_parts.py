"""The parts of a secret that reveal it, or half of it, by themselves."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

from receiver.core.credential_names import names_a_credential

REVEALING = 8
"""Characters. Half a secret is half the work of guessing; what is shorter stands in many words."""
LINE = 16
"""Characters of a line of a file that is revealing whatever it is made of."""
SHORT = 4
"""Characters of what a URL itself calls a password."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://(?P<rest>.*)", re.DOTALL)
_USER = re.compile(r"(?P<user>[^/?#@:]*)(?::(?P<password>.*?))?@", re.DOTALL)
_DELIMITERS = re.compile(r"[/?&=#:@;,|\"'<>(){}\[\]\\\s]+")
_QUERY = re.compile(r"[?&;#]([^=&;#]+)=([^&;#]+)")
_SIGNATURES = frozenset({"auth", "code", "hmac", "key", "sig", "signature"})
"""What the secret in the query of a URL is called beside the usual names."""
_NAMED = re.compile(
    r"(?<![A-Za-z0-9_.-])([A-Za-z0-9_.-]+)[\"']?[ \t]*[:=][ \t]*[\"']?([^\"',\s{}\[\]]+)"
)
"""A name begins where a word does: else each character of a key's long lines is tried as well."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z-]*\s+(\S{8,})")
"""A ready value of an Authorization header: `Bearer ...`, `Token ...`."""
_ENTRY = re.compile(r"[-\s]*[\"']?[\w.-]+[\"']?\s*:(?:\s.*)?")
"""A line of YAML or JSON."""
_BASIC = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_WORDS = re.compile(r"[-_.~+ ]+|(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[A-Za-z][a-z]{0,14}|[A-Z]{1,15}|[0-9]{1,4}|v[0-9]+(?:(?:alpha|beta)[0-9]*)?")
_VOWEL = re.compile(r"[aeiouyAEIOUY]")
_FEW = 3
"""Letters of a word that may have no vowel: `dns`, `www`."""


def revealing_parts(secret: str) -> set[str]:
    """Return the parts that are masked where they stand alone; the secret itself is not among them.

    Of a file (a key, a kubeconfig, JSON) its lines, and what stands under the name of a
    credential. Of anything else what delimiters part it into, if it is no common word: the
    segments of a secret URL, the values of its query, its password, its path as a whole; but
    never its host.
    """
    if len(secret.splitlines()) > 1 or secret.startswith("{"):
        return {*_lines(secret), *_named(secret)}
    url = _URL.fullmatch(secret)
    if url:
        return {*_of_url(url["rest"])}
    ready = _SCHEME.fullmatch(secret)
    return {*_pieces(secret), *_basic(secret), *(ready.groups() if ready else ())}


def _lines(file: str) -> Iterator[str]:
    for line in map(str.strip, file.splitlines()):
        if line.startswith("-----"):
            continue
        pieces = _DELIMITERS.split(line) if _ENTRY.fullmatch(line) else [line]
        if any(map(_is_revealing, pieces)) or (len(pieces) == 1 and len(line) >= LINE):
            yield line


def _named(file: str) -> Iterator[str]:
    for key, value in _NAMED.findall(file):
        if names_a_credential(key) and len(value) >= SHORT and not value.startswith("-----"):
            yield value


def _of_url(rest: str) -> Iterator[str]:
    """Yield the revealing parts of what stands behind ``scheme://``."""
    found = set()
    if user := _USER.match(rest):
        found |= _of_user(user["user"], user["password"] or "")
        rest = rest[user.end() :]
    path = re.sub(r"^[^/?#]*", "", rest)
    found |= {*_of_query(path), *_pieces(path)}
    whole = {path, path.partition("?")[0].rstrip("/")}
    if not found:  # then the last words of the path are the secret
        found |= {piece for piece in _DELIMITERS.split(path)[-2:] if len(piece) >= REVEALING}
    yield from found
    yield from (one for one in whole if len(one) >= REVEALING)


def _of_user(user: str, password: str) -> set[str]:
    revealing = {password, *_pieces(password)} if len(password) >= SHORT else set()
    return {*_pieces(user), *revealing}


def _of_query(path: str) -> Iterator[str]:
    for key, value in _QUERY.findall(path):
        if len(value) >= SHORT and (names_a_credential(key) or key in _SIGNATURES):
            yield value


def _pieces(text: str) -> Iterator[str]:
    for piece in _DELIMITERS.split(text):
        if _is_revealing(piece):
            yield piece
            yield from (part for part in piece.split(".")
                        if len(part) >= LINE and _is_revealing(part))  # fmt: skip


def _basic(secret: str) -> Iterator[str]:
    """Yield what a ready `Basic` credential holds: `user:password`, and its password."""
    for found in _BASIC.findall(secret):
        try:
            text = base64.b64decode(found, validate=True).decode()
        except ValueError:
            continue
        user, colon, password = text.partition(":")
        if colon and user.isprintable() and len(password) >= SHORT:
            yield from (text, password)


def _is_revealing(part: str) -> bool:
    """Whether it is long enough, and not made of words, small numbers and versions alone."""
    if len(part) < REVEALING or not any(map(str.isalnum, part)):
        return False
    return not all(_is_word(word) for word in _WORDS.split(part) if word)


def _is_word(text: str) -> bool:
    known = _WORD.fullmatch(text)
    spoken = len(text) <= _FEW or text[-1].isdigit() or _VOWEL.search(text)
    return bool(known and spoken)
