"""The API's own description, OpenAPI 3.1, at /v1/openapi.json."""

from flask import Blueprint, Response, jsonify

from receiver.web.openapi.document import openapi_document

__all__ = ["openapi_document", "openapi_door"]


def openapi_door() -> Blueprint:
    """Make the route of the document; it needs no token and tells no secret."""
    door = Blueprint("openapi", __name__)

    @door.get("/v1/openapi.json")
    def openapi() -> Response:
        return jsonify(openapi_document())

    return door
