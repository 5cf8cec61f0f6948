"""The forms of the page: read within bounds, and refused if another site has made them."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http import HTTPStatus
from io import BytesIO
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from receiver.web.body import read_body
from receiver.web.problem_details import Refusal

LARGEST = 8192
"""Bytes of a form of a session: of a reason's 500 characters, each may become twelve of them."""

FIELDS = 10
"""More than any of the forms has."""

FROM_THE_PAGE = "open the page again, and send the form from there"


def read_form(
    csrf: str, largest: int = LARGEST, smaller: str = "write a shorter reason"
) -> Mapping[str, str]:
    """Read the current request's form, which carries this token against forgery.

    It has ``largest`` bytes at most; ``smaller`` is the hint of how it gets smaller.

    Raises:
        Refusal: 403 ``forged``, it does not; 400, it is no form; 413 and 408 as `read_body`.
    """
    body = read_body(request.environ, largest, what="form", smaller=smaller)
    try:
        form = _fields(body)
    except (ValueError, HTTPException) as error:  # no UTF-8, no parts, or too many of them
        no_text = isinstance(error, UnicodeDecodeError)
        hint = "a file must be text in UTF-8" if no_text else FROM_THE_PAGE
        raise Refusal("bad_form", "the form cannot be read", hint=hint) from None
    if not csrf or not hmac.compare_digest(csrf.encode(), form.get("csrf", "").encode()):
        raise Refusal(
            "forged", "the form is not one that this page has shown in this session",
            hint=FROM_THE_PAGE, status=HTTPStatus.FORBIDDEN,
        )  # fmt: skip
    return form


def _fields(body: bytes) -> dict[str, str]:
    """Return the fields of a form, and the texts of the files that come with it."""
    kind, options = parse_options_header(request.content_type)
    if kind != "multipart/form-data":
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS))
    parser = FormDataParser(
        stream_factory=lambda *_, **__: BytesIO(), max_form_memory_size=len(body),
        max_form_parts=FIELDS, silent=False,
    )  # fmt: skip
    _, fields, files = parser.parse(BytesIO(body), kind, len(body), options)
    return fields.to_dict() | {name: file.read().decode() for name, file in files.items()}
