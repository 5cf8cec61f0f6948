"""The stylesheet, the script and the icon, read once; an address has a digest of what it names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files

KINDS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, and what names this version of it."""

    data: bytes
    kind: str
    digest: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files by name."""
    folder = files("receiver.web.page") / "assets"
    found = {name: (folder / name).read_bytes() for name in KINDS}
    return {
        name: Asset(data, KINDS[name], sha256(data).hexdigest()[:16])
        for name, data in found.items()
    }
