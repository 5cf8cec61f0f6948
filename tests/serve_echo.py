"""Serves a small app by our server, as a program of its own.

The other settings come from the environment, as always.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from pathlib import Path

from flask import Flask, abort, request

from receiver.core.logs import configure_logs
from receiver.settings.model import Settings
from receiver.web.body import read_body
from receiver.web.connection_manager import ON_CUT
from receiver.web.gunicorn_server import Server
from receiver.web.problem_details import Refusal, refused
from receiver.web.thread_pools import ADMISSION, LARGEST_FORM, Admission
from receiver.web.tls import Tls, load_tls
from receiver.web.worker import ON_UNREADABLE

STRANGER = "Bearer of-a-stranger"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")  # in one piece: threads say something at the same time
    sys.stdout.flush()


def factory(settings: Settings, tls: Tls | None) -> tuple[Flask, Callable[[], None]]:
    app = Flask("echo")
    app.extensions[ON_CUT] = lambda: say("cut")
    app.extensions[ON_UNREADABLE] = lambda remote, reason: say(f"unreadable {remote} {reason}")
    app.register_error_handler(Refusal, refused)

    app.extensions[ADMISSION] = Admission(
        lambda head, _look: head.authorization != STRANGER, form="/form"
    )

    @app.get("/healthz")
    def healthy() -> str:
        return "well"

    @app.get("/large")
    def large() -> bytes:
        return bytes(8 << 20)

    @app.post("/echo")
    def echo() -> str:
        if request.headers.get("Authorization") == STRANGER:
            abort(401)
        return str(len(read_body(request.environ, settings.max_body)))

    @app.post("/form")
    def form() -> bytes:
        if int(request.headers["Content-Length"]) > LARGEST_FORM:
            abort(401)
        return read_body(request.environ, LARGEST_FORM)

    @app.post("/seen")
    def seen() -> str:
        return f"{request.scheme} {request.script_root}{request.path}"

    @app.post("/held")
    def held() -> str:
        read_body(request.environ, 8 << 20)
        say("began")
        sys.stdin.readline()
        return "ended"

    if tls is not None:
        tls.start()
    say("built")
    return app, lambda: say("stopped")


def main(port: str, timeout: str, config: str = "") -> None:
    """Serve until it is told to stop."""
    settings = Settings(
        port=int(port),
        request_timeout=float(timeout),
        threads=4,
        gunicorn_config=Path(config) if config else None,
    )
    found = load_tls(settings, configure_logs("json"))
    gc.freeze()  # as `postsync serve` does; it also shortens the end
    Server(settings, lambda: factory(settings, found), found).run()
