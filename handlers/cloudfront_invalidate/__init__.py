"""`cloudfront.invalidate`: invalidate paths of a CloudFront distribution.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html
"""

from __future__ import annotations

import re
from functools import partial
from itertools import zip_longest
from urllib.parse import quote

from handlers.cloudfront_invalidate.api import request
from handlers.cloudfront_invalidate.parameters import CloudFrontInvalidate
from receiver.contract import (
    Call,
    Handler,
    Json,
    Outcome,
    Pending,
    Succeeded,
    ask_each,
    host_of,
    in_batches,
    needs,
    start_each,
)

FILES = 3000
WILDCARDS = 15
"""Paths that may be under way at one time in a distribution
(https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html);
a request with more would never be taken."""


def run(params: CloudFrontInvalidate, call: Call) -> Outcome:
    """Create the invalidations, or check how they are getting on.

    The CallerReference is made of the idempotency key: for the same one with the same paths
    the API returns the invalidation that it began.
    """
    paths = [encoded(path) for path in params.paths]
    if isinstance(call.state, dict) and "ended" in call.state:
        started, ended = call.state["started"], call.state["ended"]
    else:
        start = partial(_start, params, call)
        started, ended = start_each(call.state, _batches(paths), start), 0
        if params.wait and started:
            return Pending({"started": started, "ended": ended}, params.every)
    if params.wait and (open_ := ask_each(started, ended, partial(_again_in, params, call))):
        return Pending(*open_)
    return Succeeded({"invalidations": started, "paths": len(set(paths))})


def _batches(paths: list[str]) -> list[list[str]]:
    wild = in_batches((path for path in paths if path.endswith("*")), WILDCARDS)
    files = in_batches((path for path in paths if not path.endswith("*")), FILES)
    nothing: list[str] = []
    return [[*some, *others] for some, others in zip_longest(wild, files, fillvalue=nothing)]


def _start(params: CloudFrontInvalidate, call: Call, number: int, paths: list[str]) -> Json:
    batch = {
        "Paths": {"Quantity": len(paths), "Items": paths},
        "CallerReference": f"{call.idempotency_key}-{number}",
    }
    return str(request(params, call, "CreateInvalidation", {"InvalidationBatch": batch})["Id"])


def _again_in(params: CloudFrontInvalidate, call: Call, number: str) -> float | None:
    status = str(request(params, call, "GetInvalidation", {"Id": number})["Status"])
    return None if status.lower() == "completed" else params.every


TO_ENCODE = re.compile(r"""%(?![0-9A-Fa-f]{2}) | [^!$&'()*+,\-./0-9:;=?@A-Z_a-z%]""", re.VERBOSE)
"""What is not ASCII or is unsafe by RFC 1738, 2.2; a `%` only where it begins no encoding."""


def encoded(path: str) -> str:
    """Encode what has to be, and nothing else: CloudFront compares the rest as it stands.

    https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/invalidation-specifying-objects.html,
    "Invalidation paths".
    """
    return TO_ENCODE.sub(lambda found: _percent(found[0]), path)


def _percent(character: str) -> str:
    return "%7E" if character == "~" else quote(character, safe="")


EXAMPLE = """\
distribution: E2EXAMPLE
paths: ["/assets/*", "/index.html"]
accessKeyId: {env: POSTSYNC_SECRET_AWS_KEY_ID}
secretAccessKey: {env: POSTSYNC_SECRET_AWS_KEY}
wait: true
"""

handler = Handler(
    name="cloudfront.invalidate",
    summary="Invalidate paths of an Amazon CloudFront distribution.",
    params=CloudFrontInvalidate,
    run=run,
    example=EXAMPLE,
    confine=needs("secretAccessKey"),
    output="`invalidations`, a list of their ids; `paths`, how many there were.",
    errors="`TooManyInvalidationsInProgress`, `Throttling` and `RequestExpired` are tried again,"
    " though they answer 400.",
    lane=host_of("api"),
    extra="aws",
    library="botocore",
    permissions="`cloudfront:CreateInvalidation`, and to wait `cloudfront:GetInvalidation`, on "
    "the distribution's ARN.",
)
