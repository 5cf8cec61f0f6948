"""The origin (scheme, host, port) that a request to a URL goes to."""

from __future__ import annotations

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from receiver.core.errors import PermanentError

PORTS = {"http": 80, "https": 443}


def origin(text: str) -> tuple[str, str, int]:
    r"""Return scheme, host and port of a URL, read by the parser that makes the connection.

    Parsers disagree: to `urlsplit` the host of ``https://evil.example\@api.example/`` is
    ``api.example``, and the request would go to ``evil.example``.

    Raises:
        PermanentError: it is no URL of http or https.
    """
    try:
        url = parse_url(text)
    except LocationParseError:
        raise PermanentError(f"{text!r} is no URL") from None
    if url.scheme not in PORTS or not url.host:
        raise PermanentError(f"{text!r} is no URL of http or https")
    return url.scheme or "", url.host, url.port or PORTS[url.scheme or ""]
