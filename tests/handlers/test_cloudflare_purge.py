"""cloudflare.purge; the answers are those of https://developers.cloudflare.com/api/."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from handlers.cloudflare_purge import CloudflarePurge, handler
from receiver.contract import PermanentError, Succeeded
from receiver.core.model import OutcomeKind
from receiver.testkit import Case, Fault, Reply, Subject, attempt, usual

ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
TOKEN = {"env": "POSTSYNC_SECRET_CLOUDFLARE"}
PURGED = Reply(200, b'{"success": true, "errors": [], "messages": [], "result": {"id": "9a7"}}')
REFUSED = Reply(
    200, b'{"success": false, "errors": [{"code": 1016, "message": "Unable to purge"}]}'
)
ERRORS = yaml.safe_load(
    (Path(__file__).parents[1] / "data/services/cloudflare-errors.yaml").read_text()
)


def refused(status: int, code: int, message: str) -> Reply:
    errors = [{"code": code, "message": message}]
    return Reply(status, json.dumps({"success": False, "errors": errors}).encode())


GIVEN: dict[str, Any] = {"zone": ZONE, "token": TOKEN, "tags": [f"tag-{n}" for n in range(250)]}

SUBJECTS = [
    Subject(
        handler,
        parameters=GIVEN,
        uses_key=False,  # what is purged twice is purged
        parts=3,
        cases=[
            Case(PURGED, Succeeded),
            Case(REFUSED, PermanentError, name="success: false"),
            *(
                Case(refused(status, code, message), PermanentError, name=f"{status}, {code}")
                for status, code, message in ERRORS["permanent"]
            ),
            Case(Fault.GARBLED, PermanentError),
            *usual(),
        ],
    )
]


def bodies(**given: Any) -> tuple[list[Any], Any]:
    """What is sent for these parameters, and the outcome."""
    (subject,) = SUBJECTS
    made = attempt(subject, [PURGED], parameters={"zone": ZONE, "token": TOKEN, **given})
    return [json.loads(seen.body) for seen in made.seen], made.outcome


def test_items_go_a_hundred_to_a_request_and_each_once() -> None:
    """The limit of every plan; a tag that two syncs changed is purged once."""
    sent, outcome = bodies(tags=[f"tag-{n}" for n in range(250)] + ["tag-0"])
    assert [len(body["tags"]) for body in sent] == [100, 100, 50]
    assert outcome.output == {"tags": 250, "requests": 3}


@pytest.mark.parametrize("kind", ["files", "tags", "hosts", "prefixes"])
def test_each_kind_has_its_key(kind: str) -> None:
    """As the API names them."""
    assert bodies(**{kind: ["a"]})[0] == [{kind: ["a"]}]


def test_files_are_told_apart_by_the_headers_of_their_cache_key() -> None:
    """As "Purge cache key resources" writes them; without headers the URL stands alone."""
    url = "https://www.example.com/"
    mobile = {"url": url, "headers": {"CF-Device-Type": "mobile", "CF-IPCountry": "US"}}
    again = {"url": url, "headers": dict(reversed(mobile["headers"].items()))}  # type: ignore[attr-defined]
    sent, outcome = bodies(files=[url, mobile, again, {"url": url}])
    assert sent == [{"files": [url, mobile]}]
    assert outcome.output == {"files": 2, "requests": 1}


def test_everything_and_nothing() -> None:
    """Everything must be asked for; an empty list, as an expression may give, asks nobody."""
    assert bodies(everything=True)[0] == [{"purge_everything": True}]
    sent, outcome = bodies(tags=[])
    assert (sent, outcome.kind) == ([], OutcomeKind.SUCCEEDED)


def test_soft_goes_to_its_own_address() -> None:
    """Stale objects are served while the origin is asked."""
    (subject,) = SUBJECTS
    made = attempt(subject, [PURGED], parameters=GIVEN | {"soft": True, "tags": ["a"]})
    assert made.addresses == (
        f"https://api.cloudflare.com/client/v4/zones/{ZONE}/invalidate_cache",
    )
    assert made.seen[0].headers["authorization"].startswith("Bearer hush")


@pytest.mark.parametrize(
    "given", [{}, {"tags": ["a"], "hosts": ["b"]}, {"tags": ["a"], "everything": True}]
)
def test_one_kind_must_be_given(given: dict[str, Any]) -> None:
    """None and several are refused before anything is sent."""
    with pytest.raises(ValidationError, match="give one of files, tags, hosts, prefixes"):
        CloudflarePurge.model_validate({"zone": ZONE, "token": "t", **given})
