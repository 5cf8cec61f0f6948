"""How services write what they were sent, each as its language or format has it."""

from __future__ import annotations

import base64
import html
import json
import textwrap
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus

import requests

Spell = Callable[[str], str]


def _component(text: str) -> str:
    """`encodeURIComponent` of JavaScript."""
    return quote(text, safe="-_.!~*'()")


def _java(text: str) -> str:
    """`URLEncoder` of Java."""
    return quote_plus(text, safe="*-._").replace("~", "%7E")


def _requests(text: str) -> str:
    """A path as `requests` sends it."""
    try:
        return requests.utils.requote_uri("/" + text)[1:]
    except requests.RequestException:
        return text


def _units(text: str) -> list[str]:
    raw = text.encode("utf-16-be").hex()
    return [raw[at : at + 4] for at in range(0, len(raw), 4)]


def _go(text: str) -> str:
    """`encoding/json` of Go."""
    escaped = json.dumps(text, ensure_ascii=False)[1:-1]
    return escaped.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _php(text: str) -> str:
    """`json_encode` of PHP."""
    return json.dumps(text)[1:-1].replace("/", "\\/")


def _lines(text: str, width: int = 76, end: str = "\n") -> str:
    return end.join(textwrap.wrap(text, width, drop_whitespace=False)) if text else text


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SPELLINGS: Mapping[str, Spell] = {
    "as it is": str,
    "requests": _requests,
    "quote": quote,
    "quote all": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "encodeURIComponent": _component,
    "Java": _java,
    "lower-case escapes": lambda text: quote(text, safe="").replace("%2F", "%2f"),
    "percent of all": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "JavaScript escape": lambda text: "".join(f"%u{unit}" for unit in _units(text)),
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON in UTF-8": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of Go": _go,
    "JSON of PHP": _php,
    "Unicode escapes": lambda text: "".join(f"\\u{unit}" for unit in _units(text)),
    "Python": lambda text: repr(text)[1:-1],
    "hex escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "octal escapes": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "HTML": html.escape,
    "HTML without quotes": lambda text: html.escape(text, quote=False),
    "XML": lambda text: html.escape(text).replace("&#x27;", "&apos;"),
    "decimal entities": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "hex entities": lambda text: "".join(f"&#x{ord(one):x};" for one in text),
    "hex": lambda text: text.encode().hex(),
    "HEX": lambda text: text.encode().hex().upper(),
    "base64": _b64,
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
    "base64 in lines": lambda text: _lines(_b64(text)),
    "base64 of MIME": lambda text: _lines(_b64(text), 20, "\r\n"),
    "base64 behind a name": lambda text: _b64(f"user:{text}"),
    "base64 in JSON": lambda text: _b64(json.dumps({"token": text, "more": "words"})),
    "basic": lambda text: f"Basic {_b64(f'a-longer-name:{text}')}",
}
"""By name; each may be written again by another."""
WRAPPED = frozenset({"base64 behind a name", "base64 in JSON", "basic"})
"""Those that write more than the text."""


def spell(text: str, *names: str) -> str:
    """Write a text in one spelling after the other."""
    for name in names:
        text = SPELLINGS[name](text)
    return text
