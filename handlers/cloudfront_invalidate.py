"""`cloudfront.invalidate`: invalidate paths of a CloudFront distribution.

botocore knows the API's shapes and signs; our own door sends.
https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from receiver.contract import (
    Call,
    Duration,
    Handler,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Rate,
    Succeeded,
    TemporaryError,
    host_of,
    is_temporary,
    retry_after,
)

REGION = "us-east-1"
"""CloudFront is signed for this region wherever the distribution serves."""

PASSING = frozenset(
    {"TooManyInvalidationsInProgress", "Throttling", "ThrottlingException", "RequestExpired"}
)
"""Errors that answer 4xx and yet pass: so many invalidations are under way, and that one ends."""

PATHS = 3000
"""Paths that may be under way at one time in a distribution ("File invalidation quotas")."""


class CloudFrontInvalidate(Params):
    """Which paths of which distribution."""

    distribution: str = Field(description="Id of the distribution.", min_length=1)
    paths: tuple[str, ...] = Field(
        description="Paths, each with a leading /; one may end in `*`.",
        min_length=1,
        max_length=PATHS,
    )
    access_key_id: str | None = Field(
        default=None,
        description="Access key; without it AWS's standard chain: variables, a web identity "
        "(EKS), the profile. An instance's metadata address is asked for nothing.",
    )
    secret_access_key: str | None = Field(default=None, description="Its secret.")
    wait: bool = Field(default=False, description="Succeed only when it is completed.")
    every: Duration = Field(default=20.0, ge=5, description="Time between two askings.")
    api: str = Field(default="https://cloudfront.amazonaws.com", description="Address of the API.")


def run(params: CloudFrontInvalidate, call: Call) -> Outcome:
    """Create the invalidation, or look how it is getting on.

    The CallerReference is the idempotency key: sent again, the API returns the same one.
    """
    if call.state is not None:
        return _judged(params, _ask(params, call, "GetInvalidation", {"Id": call.state["id"]}))
    paths = list(dict.fromkeys(params.paths))
    batch = {
        "Paths": {"Quantity": len(paths), "Items": paths},
        "CallerReference": call.idempotency_key,
    }
    return _judged(params, _ask(params, call, "CreateInvalidation", {"InvalidationBatch": batch}))


def _judged(params: CloudFrontInvalidate, told: dict[str, Any]) -> Outcome:
    number, status = told["Id"], str(told["Status"])
    if params.wait and status.lower() != "completed":
        return Pending({"id": number}, params.every)
    return Succeeded({"id": number, "status": status})


def _ask(
    params: CloudFrontInvalidate, call: Call, operation: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Call the API and return the invalidation that it tells of."""
    import botocore.parsers
    import botocore.serialize
    import botocore.session

    session = botocore.session.get_session()
    service = session.get_service_model("cloudfront")
    shape = service.operation_model(operation)
    protocol = service.metadata["protocol"]
    request = botocore.serialize.create_serializer(protocol).serialize_to_request(
        {"DistributionId": params.distribution, **given}, shape
    )
    url = params.api + request["url_path"]
    body = request["body"] or None
    answer = call.http.send(
        request["method"],
        url,
        headers=_signed(params, session, request["method"], url, body),
        body=body,
    )
    told = botocore.parsers.create_parser(protocol).parse(
        {"status_code": answer.status, "headers": dict(answer.headers), "body": answer.body},
        shape.output_shape,
    )
    if error := told.get("Error"):
        message = f"CloudFront answered {answer.status} {error.get('Code')}: {error.get('Message')}"
        if is_temporary(answer.status) or error.get("Code") in PASSING:
            raise TemporaryError(message, delay=retry_after(answer, call.now))
        raise PermanentError(message)
    return dict(told["Invalidation"])


def _signed(
    params: CloudFrontInvalidate, session: Any, method: str, url: str, body: bytes | None
) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    if params.access_key_id and params.secret_access_key:
        credentials = Credentials(params.access_key_id, params.secret_access_key)
    else:
        credentials = session.get_credentials()
    if credentials is None:
        raise PermanentError(
            "there are no AWS credentials",
            hint="give accessKeyId and secretAccessKey, or the receiver a web identity (EKS)",
        )
    request = AWSRequest(method, url, data=body, headers={"Content-Type": "application/xml"})
    SigV4Auth(credentials, "cloudfront", REGION).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


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
    lane=host_of("api"),
    extra="aws",
    library="botocore",
    rate=Rate(per_second=1, burst=5),
    permissions="`cloudfront:CreateInvalidation`, and to wait `cloudfront:GetInvalidation`, on "
    "the distribution's ARN.",
)
