"""`bunny.purge`: take objects out of bunny.net's cache.

https://docs.bunny.net/api-reference/core/purge/purge-url and
https://docs.bunny.net/cdn/purge-cache
"""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated
from urllib.parse import urlencode

from pydantic import Field, model_validator

from receiver.contract import (
    Call,
    Filled,
    Handler,
    Outcome,
    Params,
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


class BunnyPurge(Params):
    """What to purge: one of urls, tags, or everything."""

    key: Secret = Field(description="Account API key.", min_length=1)
    urls: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="URLs; one that ends in `*` or `/` purges all below."
    )
    pull_zone: int | None = Field(
        default=None, ge=1, description="Number of the pull zone, for tags and everything."
    )
    tags: Annotated[tuple[str, ...] | None, Filled()] = Field(
        default=None, description="Cache tags of the pull zone."
    )
    everything: bool = Field(default=False, description="The whole pull zone.")
    api: str = Field(default="https://api.bunny.net", description="Address of the API.")

    @model_validator(mode="after")
    def one_kind(self) -> BunnyPurge:
        """Refuse none and several, and a pull zone that is missing."""
        given = (self.urls is not None) + (self.tags is not None) + self.everything
        if given != 1:
            raise wrong_shape("give one of urls, tags, or everything: true")
        if self.urls is None and self.pull_zone is None:
            raise wrong_shape("tags and everything need the pullZone")
        return self


def run(params: BunnyPurge, call: Call) -> Outcome:
    """Purge; the API takes one URL or one tag a request."""
    if params.everything:
        _purge_zone(params, call, None)
        return Succeeded({"everything": True, "requests": 1})
    kind, items = ("tags", params.tags) if params.urls is None else ("urls", params.urls)
    once = [batch[0] for batch in in_batches(items or (), 1)]
    send = _purge_zone if kind == "tags" else _purge_url
    send_each(call.state, once, partial(send, params, call))
    return Succeeded({kind: len(once), "requests": len(once)})


def _purge_zone(params: BunnyPurge, call: Call, tag: str | None) -> None:
    body = None if tag is None else json.dumps({"CacheTag": tag}).encode()
    headers = {"AccessKey": params.key, "Content-Type": "application/json"}
    address = f"{params.api}/pullzone/{params.pull_zone}/purgeCache"
    raise_for_status(call.http.send("POST", address, headers=headers, body=body), now=call.now)


def _purge_url(params: BunnyPurge, call: Call, url: str) -> None:
    address = f"{params.api}/purge?{urlencode({'url': url, 'async': 'false'})}"
    answer = call.http.send("POST", address, headers={"AccessKey": params.key})
    raise_for_status(answer, now=call.now)


EXAMPLE = """\
key: {env: POSTSYNC_SECRET_BUNNY}
urls: ["https://cdn.example.com/assets/*"]
"""

handler = Handler(
    name="bunny.purge",
    summary="Purge bunny.net's cache by URL, tag, or a whole pull zone.",
    params=BunnyPurge,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`urls` or `tags`, how many there were, or `everything: true`; `requests`.",
    lane=host_of("api"),
    # "Purge rate limits": those of prefixes, the tighter ones; of exact URLs 120 and 5 a second.
    rate=Rate(per_second=0.5, burst=20),
    permissions="The account's API key: bunny.net has no narrower one. Keep it in a file.",
)
