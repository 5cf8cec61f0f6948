"""`varnish.purge`: PURGE or BAN at caches of one's own (Varnish, nginx), at all of them.

What such a request does is for the cache's configuration to say; for Varnish see
https://varnish-cache.org/docs/7.1/users-guide/purging.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from receiver.contract import (
    AttemptError,
    Call,
    Filled,
    Handler,
    Headers,
    Json,
    Outcome,
    Params,
    PermanentError,
    Succeeded,
    TemporaryError,
    by_parameters,
    host_of,
    raise_for_status,
    wrong_shape,
)

GONE = frozenset({200, 202, 204, 404})
"""200 and 404 both mean that it is not cached any more: nginx distinguishes them, Varnish not."""


class VarnishPurge(Params):
    """Which objects, at which caches."""

    caches: tuple[str, ...] = Field(
        description="Addresses of the caches, each asked: `http://varnish-0.varnish:6081`; a path "
        "in one comes before each of `paths`.",
        min_length=1,
    )
    each_address: bool = Field(
        default=False,
        description="Ask each address that a cache's name has now, as a headless Service has "
        "one for each pod. Over http only.",
    )
    host: str | None = Field(
        default=None,
        description="Host of the objects, as browsers ask for it; by default that of the cache.",
    )
    paths: Annotated[tuple[str, ...], Filled()] = Field(
        default=("/",), description="Paths of the objects."
    )
    method: str = Field(
        default="PURGE", pattern=r"^[A-Z]{1,32}$", description="PURGE, BAN, or another method."
    )
    headers: Headers = Field(
        default={}, description="Further headers, for example the expression of a ban."
    )

    @model_validator(mode="after")
    def plain_http(self) -> VarnishPurge:
        """Refuse what no certificate could be checked for."""
        if self.each_address and any(one.startswith("https:") for one in self.caches):
            raise wrong_shape("eachAddress asks addresses, for which an https cache has no name")
        return self


def run(params: VarnishPurge, call: Call) -> Outcome:
    """Ask every cache, also when one fails, so that the others do not stay stale."""
    done: list[str] = list(call.state["done"]) if isinstance(call.state, dict) else []
    failed: list[AttemptError] = []
    caches = list(dict.fromkeys(_addresses(params, call)))
    for cache, host in caches:
        for path in dict.fromkeys(params.paths):
            name = f"{cache} {host} {path}"
            if name in done:
                continue
            try:
                _request(params, call, f"{cache}/{path.lstrip('/')}", host)
                done.append(name)
            except AttemptError as error:
                failed.append(error)
    if failed:
        raise _failure(failed, done)
    return Succeeded({"caches": len(caches), "requests": len(done)})


def _addresses(params: VarnishPurge, call: Call) -> Iterator[tuple[str, str]]:
    """Yield where to ask, and for which host: "" for that of the address."""
    for cache in params.caches:
        if not params.each_address:
            yield cache.rstrip("/"), params.host or ""
            continue
        parts = urlsplit(cache)
        host = params.host or parts.netloc.rpartition("@")[2]
        for address in call.http.addresses(parts.hostname or ""):
            name = f"[{address}]" if ":" in address else address
            yield f"http://{name}:{parts.port or 80}{parts.path.rstrip('/')}", host


def _request(params: VarnishPurge, call: Call, url: str, host: str) -> None:
    headers = dict(params.headers)
    if params.host is not None or (host and not {"host", "Host"} & headers.keys()):
        headers["Host"] = host
    answer = call.http.send(params.method, url, headers=headers)
    raise_for_status(answer, expect=GONE, now=call.now)


def _first_cache(parameters: Mapping[str, Json]) -> str:
    """Return the host of the first cache as the lane: a rule's caches share one."""
    caches = parameters.get("caches")
    return host_of("first")({"first": caches[0] if isinstance(caches, list) and caches else None})


def _failure(failed: list[AttemptError], done: list[str]) -> AttemptError:
    """Make one error of several: as long as one of them may pass, it is worth another try."""
    message = "; ".join(dict.fromkeys(error.message for error in failed))
    passing = [error for error in failed if isinstance(error, TemporaryError)]
    if not passing:
        return PermanentError(message)
    delay = max((error.delay for error in passing if error.delay is not None), default=None)
    state: Any = {"done": done}
    return TemporaryError(message, delay=delay, state=state)


EXAMPLE = """\
caches: ["http://varnish.cache.svc:6081"]
eachAddress: true
host: www.example.com
paths: ["/assets/app.css", "/assets/app.js"]
"""

handler = Handler(
    name="varnish.purge",
    summary="Send PURGE or BAN to caches of your own: Varnish, nginx and others.",
    params=VarnishPurge,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    lane=_first_cache,
    output="`caches`, how many were asked; `requests`.",
    errors="404 is a success: nothing is cached there. All caches are asked, also when one "
    "fails; only those that failed are asked again.",
    permissions="None by itself: let the caches take PURGE and BAN from the receiver's address "
    "alone (an `acl` in VCL, `allow` and `deny` in nginx).",
)
