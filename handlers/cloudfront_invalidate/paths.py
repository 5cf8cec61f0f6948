"""Paths as CloudFront wants them."""

from __future__ import annotations

import re
from urllib.parse import quote

TO_ENCODE = re.compile(r"""%(?![0-9A-Fa-f]{2}) | [^!$&'()*+,\-./0-9:;=?@A-Z_a-z%]""", re.VERBOSE)
"""What is not ASCII or is unsafe by RFC 1738, 2.2; a `%` only where it begins no encoding."""


def encoded(path: str) -> str:
    """Encode what has to be, and nothing else: CloudFront compares the rest as it stands.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html,
    "Invalidation paths".
    """
    return TO_ENCODE.sub(lambda found: _percent(found[0]), path)


def _percent(character: str) -> str:
    return "%7E" if character == "~" else quote(character, safe="")
