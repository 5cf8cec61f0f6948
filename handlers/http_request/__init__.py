"""`http.request`: call any HTTP service, and optionally wait for what it started."""

from handlers.http_request.registration import handler

__all__ = ["handler"]
