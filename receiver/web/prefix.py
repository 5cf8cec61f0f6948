"""`urlPrefix`: the path below which an ingress has the server, beside others of its host."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse


def without(prefix: str, path: str) -> str:
    """Return a path as the routes have it; one that is not below the prefix is so already."""
    if path == prefix:
        return "/"
    return path.removeprefix(prefix) if path.startswith(f"{prefix}/") else path


def serve_below(app: Flask, prefix: str) -> None:
    """Have every link of the app begin with the prefix, however its requests come.

    An ingress may take the prefix off or leave it there, and who is in the cluster need not know of
    it: probes, Prometheus and Argo CD ask the Service without it.
    """
    inside = app.wsgi_app

    def answer(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        environ["SCRIPT_NAME"] = prefix
        environ["PATH_INFO"] = without(prefix, environ["PATH_INFO"])
        return inside(environ, start_response)

    app.wsgi_app = answer  # type: ignore[method-assign]  # as Flask's documentation has it
