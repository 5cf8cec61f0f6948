"""Serves a small app by our server: PORT TIMEOUT [GUNICORN_CONFIG], as a program of its own.

The other settings come from the environment, as always.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from flask import Flask, request

from receiver.logs import configure_logs
from receiver.settings import Settings
from receiver.web.body import read_body
from receiver.web.problems import Refusal, refused
from receiver.web.server import ON_CUT, ON_UNREADABLE, Server
from receiver.web.tls import Tls, load_tls


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 its parent reads it


def factory(tls: Tls | None) -> tuple[Flask, Callable[[], None]]:
    app = Flask("echo")
    app.extensions[ON_CUT] = lambda: say("cut")
    app.extensions[ON_UNREADABLE] = lambda remote, reason: say(f"unreadable {remote} {reason}")
    app.register_error_handler(Refusal, refused)

    @app.post("/echo")
    def echo() -> str:
        return str(len(read_body(request.environ, 8 << 20)))

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


if __name__ == "__main__":
    port, timeout, *config = sys.argv[1:]
    settings = Settings(
        port=int(port),
        request_timeout=float(timeout),
        threads=4,
        gunicorn_config=Path(config[0]) if config else None,
    )
    found = load_tls(settings, configure_logs("json"))
    Server(settings, lambda: factory(found), found).run()
