"""`postsync show DELIVERY`: the notification as it was stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from in_process import Postsync
from notifications import notification, resource


@pytest.fixture
def sent(home: Path, postsync: Postsync) -> list[str]:
    """A notification that came twice: the ids of the deliveries."""
    file = home / "notification.json"
    file.write_bytes(notification(resource("a"), password="hunter22"))
    told = [
        json.loads(postsync("send", *arguments, "--output", "json")[1])["delivery"]
        for arguments in ([str(file)], ["--same"])
    ]
    assert len(set(told)) == 2
    return told


def test_what_came_is_shown_with_what_became_of_it(sent: list[str], postsync: Postsync) -> None:
    """First in words, then whole; what is called a password is masked."""
    code, out, err = postsync("show", sent[0])
    assert (code, err) == (0, "")
    head, _, body = out.partition("\n\n")
    assert head.splitlines()[0] == f"delivery {sent[0]} accepted"
    assert "from argocd, channel sync, at 20" in head
    assert "of argocd/shop: new" in head
    assert head.endswith("plans: none")
    state = json.loads(body)["operationState"]
    assert (state["phase"], state["password"]) == ("Succeeded", "[secret]")


def test_a_duplicate_names_the_command_that_shows_the_body(
    sent: list[str], postsync: Postsync
) -> None:
    """It has none of its own."""
    out = postsync("show", sent[1])[1]
    assert f"delivery {sent[1]} duplicate: same sync as s-" in out
    assert f"`postsync show {sent[0]}`" in out


def test_the_trail_has_the_id(sent: list[str], postsync: Postsync) -> None:
    """At the end of the line that tells of its arrival."""
    out = postsync("show", "last")[1]
    assert f"delivery={sent[0]}\n" in out
    assert f"delivery={sent[1]}\n" in out


def test_programs_get_what_the_api_answers(sent: list[str], postsync: Postsync) -> None:
    """With the notification as a tree."""
    found = json.loads(postsync("show", sent[0], "--output", "json")[1])
    assert (found["id"], found["notification"]["application"]["name"]) == (sent[0], "shop")


@pytest.mark.usefixtures("home")
def test_one_that_is_not_there_is_told(postsync: Postsync) -> None:
    """With 1."""
    code, _, err = postsync("show", "d-nothing")
    assert (code, "there is no delivery d-nothing" in err) == (1, True)
