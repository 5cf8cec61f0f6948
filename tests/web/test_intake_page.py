"""docs/intake.md: each body of the page is posted, and answered as the page says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from doors import AS_SENDER, Doors, doors
from service import ROOT

from receiver.core.model import rfc3339
from receiver.ledger.engine.ledger import Ledger

PAGE = (ROOT / "docs/intake.md").read_text()
POSTS = re.findall(
    r"<!-- post (\S+) -->\n```json\n(.*?)```\n\n<!-- answer (\d+) -->\n```json\n(.*?)```",
    PAGE, re.DOTALL,
)  # fmt: skip
REASON = re.compile(r"^\| (\d{3}) (`\w+`(?:, `\w+`)*)", re.MULTILINE)
IDS = {"delivery", "sync"}


@pytest.fixture
def web(ledger: Ledger, tmp_path: Path) -> Iterator[Doors]:
    with doors(ledger, tmp_path) as made:
        yield made


def test_each_body_is_answered_as_the_page_says(web: Doors) -> None:
    """One after another, as of now: what a page of last year shows is too old to be acted upon."""
    assert len(POSTS) == 7
    now = datetime.now(UTC)
    times = {"2026-06-10T08:20:03Z": now, "2026-06-10T08:21:17Z": now + timedelta(minutes=1)}
    for path, body, status, shown in POSTS:
        today = f"{path}\n{body}"
        for time, real in times.items():
            today = today.replace(time, rfc3339(real))
        address, _, sent = today.partition("\n")
        answer = web.client.post(address, data=sent, headers=AS_SENDER)
        assert answer.status_code == int(status), answer.text
        wanted, told = json.loads(shown), answer.get_json()
        assert {key: told[key] for key in wanted if key not in IDS} == {
            key: value for key, value in wanted.items() if key not in IDS
        }
        assert IDS & wanted.keys() <= told.keys()


def test_each_reason_of_the_page_is_one_of_the_code() -> None:
    """A reader finds the word of an answer there, and no other."""
    code = "".join(file.read_text() for folder in ("web", "notification")
                   for file in (ROOT / "receiver" / folder).glob("*.py"))  # fmt: skip
    named = [reason for _, reasons in REASON.findall(PAGE) for reason in reasons.split(", ")]
    assert len(named) > 15
    assert [one for one in named if f'"{one.strip("`")}"' not in code] == []
