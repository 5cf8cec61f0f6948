"""The read API for operators: syncs, and one sync's story."""

from __future__ import annotations

from http import HTTPStatus

from flask import Blueprint, Response, jsonify, request

from receiver.service import Intake
from receiver.web.auth import authenticate
from receiver.web.problems import Refusal, refused

PAGE = 50
LARGEST_PAGE = 500


def api_door(intake: Intake) -> Blueprint:
    """Make the API's door; every request needs an operator's token."""
    door = Blueprint("api", __name__, url_prefix="/v1/syncs")

    @door.before_request
    def known() -> Response | None:
        try:
            authenticate(request.headers.get("Authorization", ""), intake.operators)
        except Refusal as refusal:
            return refused(refusal)
        return None

    @door.get("")
    def syncs() -> Response:
        rows = intake.reader.syncs(
            limit=_limit(),
            before=request.args.get("before", ""),
            application=request.args.get("application", ""),
        )
        return jsonify({"syncs": rows})

    @door.get("/<sync>")
    def sync(sync: str) -> Response:
        wanted = intake.reader.newest() if sync == "last" else sync
        found = intake.reader.sync(wanted) if wanted else None
        if found is None:
            raise Refusal(
                HTTPStatus.NOT_FOUND, "no_such_sync", f"there is no sync {sync}",
                hint="GET /v1/syncs lists them",
            )  # fmt: skip
        return jsonify(found | {"explanation": intake.explainer.explain(found["id"])})

    return door


def _limit() -> int:
    value = request.args.get("limit", str(PAGE))
    if not value.isdecimal() or not 1 <= int(value) <= LARGEST_PAGE:
        raise Refusal(
            HTTPStatus.BAD_REQUEST, "bad_limit", f"limit is {value!r}",
            hint=f"a number from 1 to {LARGEST_PAGE}",
        )  # fmt: skip
    return int(value)
