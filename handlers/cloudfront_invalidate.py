"""`cloudfront.invalidate`: invalidate paths of a CloudFront distribution.

https://docs.aws.amazon.com/cloudfront/latest/APIReference/API_CreateInvalidation.html;
botocore finds the credentials, serialises and signs, and our own door sends for it.
"""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from types import SimpleNamespace
from typing import Annotated, Any

from pydantic import Field, model_validator

from receiver.contract import (
    Answer,
    AttemptError,
    Call,
    Duration,
    Handler,
    Json,
    Outcome,
    Params,
    Pending,
    PermanentError,
    Succeeded,
    TemporaryError,
    ask_each,
    host_of,
    in_batches,
    is_temporary,
    raise_for_status,
    retry_after,
    start_each,
    wrong_shape,
)

REGION = "us-east-1"
"""CloudFront is signed for this region wherever the distribution serves."""

FILES = 3000
WILDCARDS = 15
"""Paths that may be under way at one time in a distribution
(https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/InvalidationLimits.html);
a request with more would never be taken."""

TOO_MANY = 429
LIMITED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException"})
PASSING = LIMITED | {"TooManyInvalidationsInProgress", "RequestExpired"}
"""Errors that answer 4xx and yet pass: an invalidation ends, the clock is right next time."""

ELSEWHERE = ("container-role", "iam-role")
"""What botocore would ask past our door, at the link-local addresses of the machine."""


class CloudFrontInvalidate(Params):
    """Which paths of which distribution, and as whom."""

    distribution: str = Field(description="Id of the distribution.", min_length=1)
    paths: tuple[Annotated[str, Field(pattern="^/")], ...] = Field(
        description="Paths, each with a leading `/`; one may end in `*`."
    )
    access_key_id: str | None = Field(
        default=None,
        description="Access key; without it that of the receiver: variables `AWS_*`, a web "
        "identity (IRSA on EKS), a profile. The metadata of a machine or pod are not asked.",
    )
    secret_access_key: str | None = Field(default=None, description="Its secret.")
    wait: bool = Field(default=False, description="Succeed only when they are completed.")
    every: Duration = Field(default=20.0, ge=5, description="Time between two askings.")
    api: str = Field(default="https://cloudfront.amazonaws.com", description="Address of the API.")

    @model_validator(mode="after")
    def whole_key(self) -> CloudFrontInvalidate:
        """Refuse half a key, in whose place the chain would find another identity."""
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise wrong_shape("accessKeyId and secretAccessKey come together")
        return self


def run(params: CloudFrontInvalidate, call: Call) -> Outcome:
    """Create the invalidations, or look how they are getting on.

    The CallerReference is made of the idempotency key: for the same one with the same paths
    the API returns the invalidation that it began.
    """
    if isinstance(call.state, dict) and "ended" in call.state:
        started, ended = call.state["started"], call.state["ended"]
    else:
        start = partial(_start, params, call)
        started, ended = start_each(call.state, _batches(params.paths), start), 0
        if params.wait and started:
            return Pending({"started": started, "ended": ended}, params.every)
    if params.wait and (open_ := ask_each(started, ended, partial(_again_in, params, call))):
        return Pending(*open_)
    return Succeeded({"invalidations": started, "paths": len(set(params.paths))})


def _batches(paths: tuple[str, ...]) -> list[list[str]]:
    wild = in_batches((path for path in paths if path.endswith("*")), WILDCARDS)
    files = in_batches((path for path in paths if not path.endswith("*")), FILES)
    return [[*some, *others] for some, others in zip_longest(wild, files, fillvalue=[])]


def _start(params: CloudFrontInvalidate, call: Call, number: int, paths: list[str]) -> Json:
    batch = {
        "Paths": {"Quantity": len(paths), "Items": paths},
        "CallerReference": f"{call.idempotency_key}-{number}",
    }
    return str(_ask(params, call, "CreateInvalidation", {"InvalidationBatch": batch})["Id"])


def _again_in(params: CloudFrontInvalidate, call: Call, number: str) -> float | None:
    status = str(_ask(params, call, "GetInvalidation", {"Id": number})["Status"])
    return None if status.lower() == "completed" else params.every


def _ask(
    params: CloudFrontInvalidate, call: Call, operation: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Call the API and return the invalidation that it tells of."""
    from botocore.parsers import ResponseParserError, create_parser
    from botocore.serialize import create_serializer
    from botocore.session import Session

    session = Session()
    service = session.get_service_model("cloudfront")
    shape = service.operation_model(operation)
    protocol = service.resolved_protocol
    wanted = {"DistributionId": params.distribution, **given}
    request = create_serializer(protocol).serialize_to_request(wanted, shape)
    method, url = request["method"], params.api + request["url_path"]
    body = request["body"] or None
    headers = _signed(params, call, session, method, url, body)
    answer = call.http.send(method, url, headers=headers, body=body)
    received = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
    try:
        told = create_parser(protocol).parse(received, shape.output_shape)
    except ResponseParserError:
        told = {}
    if error := told.get("Error"):
        raise _judged(answer, call, str(error.get("Code")), str(error.get("Message", "")))
    if "Invalidation" not in told:
        raise TemporaryError(f"what answered {answer.status} is not CloudFront")
    return dict(told["Invalidation"])


def _judged(answer: Answer, call: Call, code: str, message: str) -> AttemptError:
    message = f"CloudFront answered {answer.status} {code}: {message}"
    if not is_temporary(answer.status) and code not in PASSING:
        return PermanentError(message)
    limited = answer.status == TOO_MANY or code in LIMITED
    return TemporaryError(message, delay=retry_after(answer, call.now), limited=limited)


def _signed(
    params: CloudFrontInvalidate, call: Call, session: Any, method: str, url: str, body: Any
) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    if params.access_key_id and params.secret_access_key:
        credentials = Credentials(params.access_key_id, params.secret_access_key)
    else:
        credentials = _of_the_receiver(call, session)
    request = AWSRequest(method, url, data=body, headers={"Content-Type": "application/xml"})
    SigV4Auth(credentials, "cloudfront", REGION).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def _of_the_receiver(call: Call, session: Any) -> Any:
    """Return the first credentials of AWS's chain, without what it asks past our door."""
    from botocore.exceptions import BotoCoreError, ClientError

    for name in ELSEWHERE:
        session.get_component("credential_provider").remove(name)
    session.register("before-send", partial(_send, call))
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            return credentials.get_frozen_credentials()
    except (BotoCoreError, ClientError) as error:
        raise PermanentError(f"the receiver's AWS credentials do not serve: {error}") from None
    raise PermanentError(
        "there are no AWS credentials",
        hint="give accessKeyId and secretAccessKey, or the receiver a web identity",
    )


def _send(call: Call, request: Any, **_: Any) -> Any:
    """Send for botocore: an answer to its event takes the place of its own sending.

    What would make it try again is raised here, for that is not its business.
    """
    from botocore.awsrequest import AWSResponse

    given = {name: _text(value) for name, value in request.headers.items()}
    headers = {name: value for name, value in given.items() if name != "Content-Length"}
    answer = call.http.send(request.method, request.url, headers=headers, body=request.body)
    if is_temporary(answer.status):
        raise_for_status(answer, now=call.now)
    body = SimpleNamespace(stream=lambda: [answer.body])
    return AWSResponse(request.url, answer.status, dict(answer.headers), body)


def _text(value: str | bytes) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


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
    permissions="`cloudfront:CreateInvalidation`, and to wait `cloudfront:GetInvalidation`, on "
    "the distribution's ARN.",
)
