"""cloudfront.invalidate; errors are those of the API reference; moto's server is asked as well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from moto.server import ThreadedMotoServer
from peers import call, door

from handlers.cloudfront_invalidate import CloudFrontInvalidate, handler
from receiver.contract import Json, Pending, PermanentError, Succeeded, TemporaryError
from receiver.outbound import Outbound
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

NS = 'xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"'
GIVEN: dict[str, Any] = {
    "distribution": "E2EXAMPLE",
    "paths": ["/assets/*", "/index.html", "/assets/*"],
    "accessKeyId": {"env": "POSTSYNC_SECRET_ID"},
    "secretAccessKey": {"env": "POSTSYNC_SECRET_KEY"},
    "wait": True,
}
ASKED: Json = {"id": "I2J0I21PCUYOIK"}


def invalidation(status: str, code: int = 200) -> Reply:
    text = (
        f"<Invalidation {NS}><Id>I2J0I21PCUYOIK</Id><Status>{status}</Status>"
        "<CreateTime>2026-06-01T12:00:00Z</CreateTime></Invalidation>"
    )
    return Reply(code, text.encode(), {"Content-Type": "text/xml"})


def error(status: int, code: str) -> Reply:
    text = (
        f"<ErrorResponse {NS}><Error><Type>Sender</Type><Code>{code}</Code>"
        "<Message>why</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
    return Reply(status, text.encode(), {"Content-Type": "text/xml"})


ERRORS: dict[str, tuple[int, type]] = {
    "AccessDenied": (403, PermanentError),
    "BatchTooLarge": (413, PermanentError),
    "InconsistentQuantities": (400, PermanentError),
    "InvalidArgument": (400, PermanentError),
    "InvalidationBatchAlreadyExists": (400, PermanentError),
    "MissingBody": (400, PermanentError),
    "NoSuchDistribution": (404, PermanentError),
    "TooManyInvalidationsInProgress": (400, TemporaryError),
    "Throttling": (400, TemporaryError),
    "ServiceUnavailable": (503, TemporaryError),
}
SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        cases=[
            Case(invalidation("InProgress", 201), Pending),
            Case(invalidation("InProgress"), Pending, state=ASKED, name="in progress"),
            Case(invalidation("Completed"), Succeeded, state=ASKED, name="completed"),
            Case(
                invalidation("InProgress", 201), Succeeded, name="without waiting",
                parameters=GIVEN | {"wait": False},
            ),
            *(Case(error(status, code), ends, name=code)
              for code, (status, ends) in ERRORS.items()),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    )
]  # fmt: skip


def test_the_request_is_signed_and_names_each_path_once() -> None:
    """The CallerReference is the idempotency key: sent again, the API returns the same one."""
    made = attempt(SUBJECTS[0], [invalidation("InProgress", 201)])
    (seen,) = made.seen
    assert made.addresses == (
        "https://cloudfront.amazonaws.com/2020-05-31/distribution/E2EXAMPLE/invalidation",
    )
    assert seen.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=hush")
    assert b"<Quantity>2</Quantity>" in seen.body
    assert b"<CallerReference>r-kit.1</CallerReference>" in seen.body


CONFIG = {
    "CallerReference": "once",
    "Comment": "",
    "Enabled": True,
    "Origins": {
        "Quantity": 1,
        "Items": [
            {
                "Id": "o",
                "DomainName": "assets.s3.amazonaws.com",
                "S3OriginConfig": {"OriginAccessIdentity": ""},
            }
        ],
    },
    "DefaultCacheBehavior": {
        "TargetOriginId": "o",
        "ViewerProtocolPolicy": "allow-all",
        "MinTTL": 0,
        "ForwardedValues": {"QueryString": False, "Cookies": {"Forward": "none"}},
    },
}


@pytest.fixture(scope="module")
def moto() -> Iterator[tuple[str, str]]:
    """The server's address, and a distribution that it knows."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = botocore.session.get_session().create_client(
        "cloudfront", "us-east-1", endpoint_url=f"http://{host}:{port}",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    made = client.create_distribution(DistributionConfig=CONFIG)
    yield f"http://{host}:{port}", made["Distribution"]["Id"]
    server.stop()


def test_a_server_that_speaks_the_api_understands_it(moto: tuple[str, str]) -> None:
    """It takes the invalidation, and tells of it when it is asked again."""
    api, distribution = moto
    outbound = Outbound()
    given = {
        "distribution": distribution, "paths": ["/*"], "accessKeyId": "a", "secretAccessKey": "b",
        "wait": True, "api": api,
    }  # fmt: skip
    params = CloudFrontInvalidate.model_validate(given)
    ended = handler.run(params, call(door(outbound)))
    assert isinstance(ended, Succeeded)
    told: Any = ended.output
    assert told["status"].lower() == "completed"
    again = handler.run(params, call(door(outbound), state={"id": told["id"]}))
    assert again == ended
    outbound.close()
