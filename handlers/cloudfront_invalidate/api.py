"""Calls CloudFront: botocore finds the credentials, serialises and signs; `Call.http` sends.

botocore's client would send past the address policy, and takes three times as long to create.
"""

from __future__ import annotations

from functools import cache, partial
from types import SimpleNamespace
from typing import Any

from handlers.cloudfront_invalidate.parameters import CloudFrontInvalidate
from receiver.contract import (
    Answer,
    AttemptError,
    Call,
    PermanentError,
    TemporaryError,
    is_temporary,
    raise_for_status,
    retry_after,
)

REGION = "us-east-1"
"""CloudFront is signed for this region wherever the distribution serves."""

TOO_MANY = 429
LIMITED = frozenset({"Throttling", "ThrottlingException", "TooManyRequestsException"})
PASSING = LIMITED | {"TooManyInvalidationsInProgress", "RequestExpired"}
"""Errors that answer 4xx and yet pass: an invalidation ends, the clock is right next time."""

ELSEWHERE = ("container-role", "iam-role")
"""Credential providers that call link-local addresses of the machine, past `Call.http`."""


def request(
    params: CloudFrontInvalidate, call: Call, operation: str, given: dict[str, Any]
) -> dict[str, Any]:
    """Call an operation of the API, and return the invalidation in its answer.

    Raises:
        TemporaryError: a limit or a fault there, or something else has answered.
        PermanentError: the API refuses, or there are no credentials.
    """
    from botocore.parsers import ResponseParserError, create_parser
    from botocore.serialize import create_serializer

    service = _service_model()
    shape = service.operation_model(operation)
    protocol = service.resolved_protocol
    wanted = {"DistributionId": params.distribution, **given}
    request = create_serializer(protocol).serialize_to_request(wanted, shape)
    method, url = request["method"], params.api + request["url_path"]
    body = request["body"] or None
    headers = _signed(params, call, method, url, body)
    answer = call.http.send(method, url, headers=headers, body=body)
    received = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
    try:
        parsed = create_parser(protocol).parse(received, shape.output_shape)
    except ResponseParserError:
        parsed = {}
    if error := parsed.get("Error"):
        raise _to_error(answer, call, str(error.get("Code")), str(error.get("Message", "")))
    invalidation: dict[str, Any] = parsed.get("Invalidation") or {}
    if not {"Id", "Status"} <= invalidation.keys():
        raise TemporaryError(f"what answered {answer.status} is not CloudFront")
    return invalidation


def _to_error(answer: Answer, call: Call, code: str, message: str) -> AttemptError:
    message = f"CloudFront answered {answer.status} {code}: {message}"
    if not is_temporary(answer.status) and code not in PASSING:
        return PermanentError(message)
    limited = answer.status == TOO_MANY or code in LIMITED
    return TemporaryError(message, delay=retry_after(answer, call.now), limited=limited)


@cache
def _service_model() -> Any:
    """Return what the API's operations look like.

    It is read once: that takes 35 ms of CPU. Threads may share it, as those of botocore's own
    clients do.
    """
    from botocore.session import Session

    return Session().get_service_model("cloudfront")


def _signed(
    params: CloudFrontInvalidate, call: Call, method: str, url: str, body: Any
) -> dict[str, str]:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    if params.access_key_id and params.secret_access_key:
        credentials = Credentials(params.access_key_id, params.secret_access_key)
    else:
        credentials = _receiver_credentials(call)
    request = AWSRequest(method, url, data=body, headers={"Content-Type": "application/xml"})
    SigV4Auth(credentials, "cloudfront", REGION).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def _receiver_credentials(call: Call) -> Any:
    """Return the first credentials of AWS's chain, without the providers in `ELSEWHERE`."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.session import Session

    session = Session()
    for name in ELSEWHERE:
        session.get_component("credential_provider").remove(name)
    session.register("before-send", partial(_send, call))
    try:
        credentials = session.get_credentials()
        if credentials is not None:
            found = credentials.get_frozen_credentials()
            call.hide(found.secret_key)
            call.hide(found.token or "")
            return found
    except (BotoCoreError, ClientError) as error:
        raise PermanentError(f"the receiver's AWS credentials do not serve: {error}") from None
    raise PermanentError(
        "there are no AWS credentials",
        hint="give accessKeyId and secretAccessKey, or the receiver a web identity",
    )


def _send(call: Call, request: Any, **_: Any) -> Any:
    """Send for botocore: an answer to its event takes the place of its own sending.

    A temporary failure is raised here, since the retry policy and not botocore tries again.
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
