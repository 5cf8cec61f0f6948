"""Whether spans are written; nothing of the SDK is imported unless they are."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from receiver.core.errors import PermanentError, SettingsError
from receiver.core.logs import Log
from receiver.outbound import Outbound, origin

if TYPE_CHECKING:
    from receiver.tracing.tracing import Tracing

PROTOCOL = "http/protobuf"
ENDPOINT = "http://localhost:4318"
"""The SDK's own default."""


def start_tracing(outbound: Outbound, log: Log) -> Tracing | None:
    """Start to write spans, None where the SDK is disabled. Call it after the fork.

    Raises:
        SettingsError: the SDK is not installed, or its variables ask for what cannot be done.
    """
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    endpoint = _endpoint()
    try:
        from receiver.tracing.provider import start
        from receiver.tracing.tracing import Tracing
    except ImportError:
        raise SettingsError(
            "tracing (POSTSYNC_TRACING) needs the OpenTelemetry SDK, which is not installed",
            hint="`pip install '.[otel]'` in a clone of Postsync, or the image with all extras",
        ) from None
    try:
        return Tracing(start(outbound, endpoint, log))
    except ValueError as error:
        raise SettingsError(f"tracing: a variable OTEL_*: {error}") from None


def _endpoint() -> str:
    """Return scheme, host and port of where spans are sent, if they can be sent there."""
    _require("OTEL_TRACES_EXPORTER", "otlp", "`otlp` is the only exporter; tracing: false for none")
    hint = "grpc is not spoken: a collector takes http/protobuf too, mostly on port 4318"
    _require("OTEL_EXPORTER_OTLP_PROTOCOL", PROTOCOL, hint)
    _require("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", PROTOCOL, hint)
    names = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"
    name = next(filter(os.environ.get, names), "")
    try:
        scheme, host, port = origin(os.environ.get(name) or ENDPOINT)
    except PermanentError:  # it quotes the address, which may have a token in it
        raise SettingsError(
            f"{name} is no URL of http or https", hint="write it as http://collector.example:4318"
        ) from None
    return f"{scheme}://{host}:{port}"


def _require(name: str, only: str, hint: str) -> None:
    if os.environ.get(name, only) not in {only, ""}:
        raise SettingsError(f"{name} is {os.environ[name]!r}, not {only}", hint=hint)
