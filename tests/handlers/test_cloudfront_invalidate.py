"""cloudfront.invalidate, against moto's server and tests/data/services/cloudfront-errors.yaml."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import yaml
from moto.server import ThreadedMotoServer
from peers import Reply, Seen, call, door, peer
from pydantic import ValidationError

from handlers.cloudfront_invalidate import handler
from handlers.cloudfront_invalidate.parameters import CloudFrontInvalidate
from receiver.contract import Json, Outcome, Pending, PermanentError, Succeeded, TemporaryError
from receiver.core.model import OutcomeKind
from receiver.outbound import Outbound
from receiver.testkit import Case, Fault, Subject, attempt, usual

KEYS = {
    "accessKeyId": {"env": "POSTSYNC_SECRET_AWS_KEY_ID"},
    "secretAccessKey": {"env": "POSTSYNC_SECRET_AWS_KEY"},
}
GIVEN: dict[str, Any] = {"distribution": "E2EXAMPLE", "paths": ["/a", "/b/*"], **KEYS}
WAITING = GIVEN | {"wait": True}
STARTED: Json = {"started": ["I1", "I2"], "ended": 1}
NAMESPACE = 'xmlns="http://cloudfront.amazonaws.com/doc/2020-05-31/"'


def invalidation(status: str, number: str = "I1") -> Reply:
    """As the reference's "Response Syntax" of CreateInvalidation and GetInvalidation."""
    body = f"<Invalidation {NAMESPACE}><Id>{number}</Id><Status>{status}</Status></Invalidation>"
    return Reply(201, body.encode())


def refused(status: int, code: str, **headers: str) -> Reply:
    """As the API writes its errors: DeveloperGuide, "REST error responses" of AWS's XML APIs."""
    body = (
        f"<ErrorResponse {NAMESPACE}><Error><Type>Sender</Type><Code>{code}</Code>"
        f"<Message>why</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    )
    return Reply(status, body.encode(), headers)


ERRORS = yaml.safe_load(
    (Path(__file__).parents[1] / "data/services/cloudfront-errors.yaml").read_text()
)

ENDS = {"permanent": PermanentError, "temporary": TemporaryError, "limited": TemporaryError}

SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN | {"paths": [f"/{n}/*" for n in range(40)]},
        parts=3,
        cases=[
            Case(invalidation("InProgress"), Succeeded),
            *(
                Case(refused(status, code), ends, name=code)
                for kind, ends in ENDS.items()
                for code, status in ERRORS[kind].items()
            ),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    ),
    Subject(
        handler,
        parameters=WAITING,
        cases=[
            Case(invalidation("InProgress"), Pending),
            Case(invalidation("InProgress"), Pending, state=STARTED, name="in progress"),
            Case(invalidation("Completed"), Succeeded, state=STARTED, name="completed"),
            Case(Reply(200), TemporaryError, state=STARTED, name="an empty answer"),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
        ],
    ),
]


@pytest.mark.parametrize("code", [*ERRORS["limited"], "429"])
def test_a_limit_of_the_credential_is_told_from_one_of_the_distribution(code: str) -> None:
    """A limit holds back all that have the same key; too many invalidations only this run."""
    throttled = Reply(429) if code == "429" else refused(400, code)
    assert attempt(SUBJECTS[0], [throttled]).outcome.limited
    busy = refused(400, "TooManyInvalidationsInProgress")
    assert not attempt(SUBJECTS[0], [busy]).outcome.limited


def test_more_paths_than_may_be_under_way_are_parted() -> None:
    """15 with an asterisk and 3000 others in one; each part has a reference of its own."""
    paths = [f"/{n}/*" for n in range(20)] + [f"/{n}" for n in range(3001)] + ["/0"]
    made = attempt(SUBJECTS[0], [invalidation("InProgress")], parameters=GIVEN | {"paths": paths})
    told = [
        (body.count("<Path>"), body.count("*</Path>"), found.group(1))
        for body in (seen.body.decode() for seen in made.seen)
        if (found := re.search("<CallerReference>(.*)</CallerReference>", body))
    ]
    assert told == [(3015, 15, "r-kit.1-0"), (6, 5, "r-kit.1-1")]
    assert made.outcome.output == {"invalidations": ["I1", "I1"], "paths": 3021}


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/a b/*", "/a%20b/*"),
        ("/grün/日.html", "/gr%C3%BCn/%E6%97%A5.html"),
        ("/a%20b", "/a%20b"),
        ("/100%/x%zz", "/100%25/x%25zz"),
        ("/~it/{a}|b^c`d[0]<1>\\", "/%7Eit/%7Ba%7D%7Cb%5Ec%60d%5B0%5D%3C1%3E%5C"),
        ('/#top"', "/%23top%22"),
        ("/a?x=1&y=(2)*3,4;5:6@7+8$9!'", "/a?x=1&y=(2)*3,4;5:6@7+8$9!'"),
    ],
)
def test_paths_are_encoded_as_far_as_cloudfront_asks_and_never_twice(path: str, sent: str) -> None:
    """What is not ASCII, or unsafe by RFC 1738; "Do not URL-encode any other characters"."""
    given = GIVEN | {"paths": [path, sent]}
    made = attempt(SUBJECTS[0], [invalidation("InProgress")], parameters=given)
    items = re.findall("<Path>(.*?)</Path>", made.seen[0].body.decode())
    assert [html.unescape(item) for item in items] == [sent]
    assert made.outcome.output == {"invalidations": ["I1"], "paths": 1}


def test_no_paths_are_no_call() -> None:
    """As an expression may give them."""
    made = attempt(SUBJECTS[0], [Reply(500)], parameters=GIVEN | {"paths": []})
    assert (made.seen, made.outcome.kind) == ((), OutcomeKind.SUCCEEDED)


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without AWS credentials."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))


def invalidate(api: str, state: Any = None, hide: Any = str, **given: Any) -> Outcome:
    outbound = Outbound()
    try:
        params = CloudFrontInvalidate.model_validate({"api": api, **given})
        return handler.run(params, call(door(outbound), state=state, hide=hide))
    finally:
        outbound.close()


def distribution(api: str) -> str:
    """Make a distribution in moto by the vendor's own client."""
    from botocore.session import Session

    client = Session().create_client(
        "cloudfront", "us-east-1", endpoint_url=api,
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    origin = {
        "Id": "o", "DomainName": "origin.example.com",
        "CustomOriginConfig": {
            "HTTPPort": 80, "HTTPSPort": 443, "OriginProtocolPolicy": "http-only"
        },
    }  # fmt: skip
    config = {
        "CallerReference": "one",
        "Origins": {"Quantity": 1, "Items": [origin]},
        "DefaultCacheBehavior": {"TargetOriginId": "o", "ViewerProtocolPolicy": "allow-all"},
        "Comment": "", "Enabled": True,
    }  # fmt: skip
    return str(client.create_distribution(DistributionConfig=config)["Distribution"]["Id"])


def test_moto_takes_it_and_tells_when_it_is_completed(aws: str) -> None:
    """Started by one attempt, asked for by the next."""
    given = {"distribution": distribution(aws), "paths": ["/a", "/b"], "wait": True,
             "accessKeyId": "a", "secretAccessKey": "b"}  # fmt: skip
    started = invalidate(aws, **given)
    assert isinstance(started, Pending)
    assert started.ask_again_in == 20
    ended = invalidate(aws, started.state, **given)
    assert isinstance(ended, Succeeded)
    assert ended.output == {"invalidations": started.state["started"], "paths": 2}  # type: ignore[index,call-overload]  # JSON as we made it


def test_moto_refuses_what_is_not_there(aws: str) -> None:
    """With the API's own word for it."""
    with pytest.raises(PermanentError, match="answered 404 NoSuchDistribution"):
        invalidate(aws, distribution="EGONE", paths=["/"], accessKeyId="a", secretAccessKey="b")


def test_without_credentials_nothing_is_asked_but_the_run_ends() -> None:
    """Neither a machine's metadata nor a pod's: both are credentials of the receiver's host."""
    with peer() as there, pytest.raises(PermanentError, match="no AWS credentials"):
        invalidate(there.url, distribution="E1", paths=["/"])
    assert there.seen == []


def test_a_web_identity_is_exchanged_through_our_own_door(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As on EKS: the pod's token for a key of an hour, with which the call is signed."""
    (tmp_path / "token").write_text("pod-token")
    answers = [Reply(200, ASSUMED), invalidation("InProgress")]

    def answering(_seen: Seen) -> Reply:
        return answers.pop(0)

    hidden: list[str] = []
    with peer(answering) as there:
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/purge")
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", there.url)
        ended = invalidate(there.url, hide=hidden.append, distribution="E1", paths=["/"])
    assert isinstance(ended, Succeeded)
    asked, created = there.seen
    assert parse_qs(asked.body.decode())["WebIdentityToken"] == ["pod-token"]
    assert "Credential=ASIA1/" in created.headers["authorization"]
    assert created.headers["x-amz-security-token"] == "session"
    assert hidden == ["secret", "session"]


# API_AssumeRoleWithWebIdentity of the STS reference, "Sample Response".
ASSUMED = b"""<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ASIA1</AccessKeyId>
<SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials>
<AssumedRoleUser><Arn>arn:aws:sts::1:assumed-role/purge/x</Arn>
<AssumedRoleId>A:x</AssumedRoleId></AssumedRoleUser></AssumeRoleWithWebIdentityResult>
<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>
</AssumeRoleWithWebIdentityResponse>"""


@pytest.mark.parametrize(
    ("given", "words"),
    [({"accessKeyId": "a"}, "come together"), ({"paths": ["a"]}, "pattern")],
)
def test_half_a_key_and_relative_paths_are_refused_before(given: Any, words: str) -> None:
    """In words of the rule."""
    with pytest.raises(ValidationError, match=words):
        CloudFrontInvalidate.model_validate({"distribution": "E1", "paths": ["/"], **given})
