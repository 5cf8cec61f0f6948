"""The yardstick: a Flask view that parses the JSON and answers, under the same gunicorn."""

from __future__ import annotations

from flask import Flask, Response, request

app = Flask("bare")


@app.post("/v1/notifications")
def take() -> tuple[Response, int] | tuple[str, int]:
    request.get_json(force=True)
    return "{}\n", 202
