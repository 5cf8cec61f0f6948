"""`cloudflare.purge`: take objects out of Cloudflare's cache.

https://developers.cloudflare.com/api/resources/cache/methods/purge/ and, for the limits,
https://developers.cloudflare.com/cache/how-to/purge-cache/; files with headers are in
https://developers.cloudflare.com/cache/how-to/purge-cache/purge-cache-key/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import Field, model_validator

from receiver.contract import (
    Answer,
    Call,
    Filled,
    Handler,
    Headers,
    Json,
    Outcome,
    Params,
    PermanentError,
    Rate,
    Secret,
    Succeeded,
    by_parameters,
    host_of,
    in_batches,
    raise_for_status,
    send_each,
    wrong_shape,
)

KINDS = ("files", "tags", "hosts", "prefixes")


class CloudflareFile(Params):
    """An object whose cache key has headers in it."""

    url: str = Field(description="URL of the object.", min_length=1)
    headers: Headers = Field(
        default={},
        description="Headers that its cache key has: `CF-Device-Type: mobile`, `CF-IPCountry`, "
        "`Accept-Language`, `Origin`.",
    )


class CloudflarePurge(Params):
    """What to purge: one of files, tags, hosts, prefixes, or everything."""

    zone: str = Field(description="Id of the zone, 32 hexadecimal digits.", min_length=1)
    token: Secret = Field(description="API token.", min_length=1)
    files: Annotated[tuple[str | CloudflareFile, ...] | None, Filled()] = Field(
        default=None,
        description="URLs of objects; where a custom cache key has headers in it, "
        "`{url: ..., headers: {CF-Device-Type: mobile}}`.",
    )
    tags: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Cache tags."
    )
    hosts: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Host names."
    )
    prefixes: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Prefixes of URLs, without the scheme: `www.example.com/css`."
    )
    everything: bool = Field(default=False, description="The whole zone.")
    soft: bool = Field(
        default=False,
        description="Mark as stale instead: served while the origin is asked again.",
    )
    batch_size: int = Field(
        default=100,
        ge=1,
        le=500,
        description="Items of one request: 100, for URLs on an Enterprise plan 500.",
    )
    api: str = Field(
        default="https://api.cloudflare.com/client/v4", description="Address of the API."
    )

    @model_validator(mode="after")
    def one_kind(self) -> CloudflarePurge:
        """Refuse none and several, which the API would refuse as well."""
        given = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(given) + self.everything != 1:
            raise wrong_shape(f"give one of {', '.join(KINDS)}, or everything: true")
        return self


def run(params: CloudflarePurge, call: Call) -> Outcome:
    """Purge in as few requests as the API allows."""
    kind = next((kind for kind in KINDS if getattr(params, kind) is not None), "everything")
    if kind == "everything":
        _purge(params, call, {"purge_everything": True})
        return Succeeded({"everything": True, "requests": 1})
    written = map(_written, getattr(params, kind))
    batches = [list(map(json.loads, batch)) for batch in in_batches(written, params.batch_size)]
    send_each(call.state, [{kind: batch} for batch in batches], partial(_purge, params, call))
    return Succeeded({kind: sum(map(len, batches)), "requests": len(batches)})


def _written(item: str | CloudflareFile) -> str:
    """Return an item as JSON, the same for equal items; without headers, its URL alone."""
    if isinstance(item, str):
        return json.dumps(item)
    if not item.headers:
        return json.dumps(item.url)
    return json.dumps({"url": item.url, "headers": item.headers}, sort_keys=True)


def _purge(params: CloudflarePurge, call: Call, body: Mapping[str, Any]) -> None:
    verb = "invalidate_cache" if params.soft else "purge_cache"
    answer = call.http.send(
        "POST",
        f"{params.api}/zones/{params.zone}/{verb}",
        headers={"Authorization": f"Bearer {params.token}", "Content-Type": "application/json"},
        body=json.dumps(body).encode(),
    )
    raise_for_status(answer, now=call.now)
    if not _succeeded(answer):
        raise PermanentError(f"Cloudflare refused: {answer.excerpt()}")


def _succeeded(answer: Answer) -> bool:
    try:
        data: Json = answer.json()
    except ValueError:
        return False
    return isinstance(data, dict) and data.get("success") is True


EXAMPLE = """\
zone: 023e105f4ecef8ad9ca31a8372d0c353
token: {env: POSTSYNC_SECRET_CLOUDFLARE}
tags: "${{ resources.map(r, r.name) }}"
"""

handler = Handler(
    name="cloudflare.purge",
    summary="Purge Cloudflare's cache by URL, tag, host, prefix, or whole.",
    params=CloudflarePurge,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`files`, `tags`, `hosts` or `prefixes`, how many there were, or `everything: true`; "
    "`requests`.",
    errors="An answer that does not say `success: true` fails the run.",
    lane=host_of("api"),
    # Tags, hosts, prefixes and everything on the Free plan: 5 a minute, 25 at once.
    rate=Rate(per_second=5 / 60, burst=25),
    permissions="An API token with Zone > Cache Purge > Purge on that zone, and nothing else.",
)
