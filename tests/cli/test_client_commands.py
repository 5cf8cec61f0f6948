"""`send`, `syncs` and `show` against a real server on loopback."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_process import Postsync
from notifications import notification, resource


def written(home: Path, **options: Any) -> Path:
    file = home / "notification.json"
    file.write_bytes(notification(resource("a"), **options))
    return file


def test_send_says_what_became_of_it_and_what_to_type_next(home: Path, postsync: Postsync) -> None:
    """The first token of HOME/senders is used."""
    code, out, _ = postsync("send", str(written(home)))
    told = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert (code, told["verdict"]) == (0, "accepted")
    assert told["next"] == f"postsync show {told['sync']}"


@pytest.mark.parametrize("shape", ["template", "app", "application"])
def test_now_moves_the_times_and_keeps_the_duration(
    home: Path, postsync: Postsync, shape: str
) -> None:
    """In each shape that has times, so that an old example is a new sync."""
    old = datetime.now(UTC) - timedelta(days=100)
    file = written(home, finished=old)
    tree = json.loads(file.read_text())
    if shape != "template":
        bare = {
            "metadata": {"name": "shop", "namespace": "argocd"},
            "spec": {},
            "status": {"operationState": tree["operationState"]},
        }
        file.write_text(json.dumps({"app": bare} if shape == "app" else bare))
    code, out, err = postsync("send", str(file), "--now")
    assert code == 0, err
    first, last = (
        datetime.fromisoformat(time) for time in out.splitlines()[0].split()[1:] if time != "to"
    )
    assert abs(datetime.now(UTC) - last) < timedelta(seconds=10)
    assert last - first == timedelta(seconds=30)
    [sync] = json.loads(postsync("syncs", "--output", "json")[1])
    assert sync["finishedAt"] == out.splitlines()[0].split()[-1]


def test_what_is_sent_twice_in_a_second_is_two_syncs(home: Path, postsync: Postsync) -> None:
    """As `--now` promises, though Argo CD itself writes whole seconds."""
    file = str(written(home))
    sent = [json.loads(postsync("send", file, "--now", "--output", "json")[1]) for _ in range(3)]
    assert [one["verdict"] for one in sent] == ["accepted"] * 3


def test_same_repeats_the_last_one_byte_for_byte(home: Path, postsync: Postsync) -> None:
    """So it is a duplicate, also of one whose times were moved."""
    first = json.loads(postsync("send", str(written(home)), "--now", "--output", "json")[1])
    code, out, _ = postsync("send", "--same", "--output", "json")
    second = json.loads(out)
    assert (code, second["verdict"]) == (0, "duplicate")
    assert second["sync"] == first["sync"]


def test_the_channel_and_a_token_file_can_be_named(home: Path, postsync: Postsync) -> None:
    """As another sender, for another trigger."""
    file = str(written(home))
    key = str(home / "senders" / "zoo")
    for index, arguments in enumerate((["--token-file", key], ["--sender", "zoo"])):
        assert postsync("send", file, "--channel", f"c{index}", *arguments)[0] == 0
    rows = json.loads(postsync("syncs", "--output", "json")[1])
    assert {(row["sender"], row["channel"]) for row in rows} <= {("zoo", "c0"), ("zoo", "c1")}
    assert len(rows) == 2


@pytest.mark.parametrize(
    "arguments", [[], ["x.json", "--same"], ["--same", "--now"], ["x.json", "--no-such"]]
)
def test_wrong_usage_ends_with_2(postsync: Postsync, arguments: list[str]) -> None:
    """And with click's own words."""
    code, _, err = postsync("send", *arguments)
    assert code == 2
    assert "Usage: postsync send" in err


def test_a_refused_notification_ends_with_1_and_the_servers_words(
    home: Path, postsync: Postsync
) -> None:
    """The detail and the hint, as Argo CD would log them."""
    file = home / "broken.json"
    file.write_text('{"application": ')
    code, _, err = postsync("send", str(file))
    assert code == 1
    assert "400" in err
    assert not (home / "last-notification.json").exists()


@pytest.mark.parametrize("command", [["send", "FILE"], ["syncs"], ["show"]])
def test_a_token_that_is_not_known_is_told_with_its_origin(
    home: Path, postsync: Postsync, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    """Which of the three places it came from is what one needs to know; never the token."""
    monkeypatch.setenv("POSTSYNC_TOKEN", "not-known-to-anybody-0123")
    file = str(written(home))
    code, _, err = postsync(*(file if word == "FILE" else word for word in command))
    assert code == 1
    assert "the token came from POSTSYNC_TOKEN" in err
    assert "not-known-to-anybody" not in err


@pytest.mark.parametrize(("command", "folder"), [("syncs", "operators"), ("send", "senders")])
def test_without_a_token_the_command_that_makes_one_is_told(
    home: Path, postsync: Postsync, monkeypatch: pytest.MonkeyPatch, command: str, folder: str
) -> None:
    """The first look in a home of one's own: the command works as it stands."""
    file = str(written(home))
    own = home / "my home"
    monkeypatch.setenv("POSTSYNC_HOME", str(own))
    code, _, err = postsync(command, *([file] if command == "send" else []))
    assert code == 1
    assert str(own / folder) in err
    assert "POSTSYNC_TOKEN" in err
    (made,) = re.findall("`(umask.*?)`", err)
    subprocess.run(made, shell=True, check=True)  # noqa: S602 what a person would paste
    (token,) = (own / folder).iterdir()
    assert len(token.read_text().strip()) == 64


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["syncs", "--token-file", "nobody"],
            "nobody cannot be read: does not exist (write a token into it that the server has",
        ),
        (["syncs", "--token-file", "empty"], "the token file empty is empty (write a token into"),
        (["send", "empty", "--sender", "argo"], "there is argocd, zoo; `umask 077"),
    ],
)
def test_a_token_file_that_is_not_there_is_told_with_the_way_out(
    home: Path,
    postsync: Postsync,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    """Once, without an error number; a new token is made only where the server will know it."""
    monkeypatch.chdir(home)
    (home / "empty").touch()
    code, _, err = postsync(*arguments)
    assert (code, "Errno" in err) == (1, False)
    assert words in err
    assert ("openssl rand -hex 32" in err) == (arguments[0] == "send")


def test_the_example_that_comes_with_the_package_is_posted(
    home: Path, postsync: Postsync, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From any folder, with its times moved to now."""
    monkeypatch.chdir(tmp_path)
    assert home.is_dir()
    told = json.loads(postsync("send", "--example", "--output", "json")[1])
    assert told["verdict"] == "accepted"
    code, _, err = postsync("send", "nothing.json")
    assert (code, "`postsync send --example`" in err, "config/" in err) == (1, True, False)


def test_no_server_ends_with_3_and_says_how_to_start_one(home: Path, postsync: Postsync) -> None:
    """Nothing listens on a port that was just free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for command in (["send", str(written(home))], ["syncs"], ["show"]):
        code, _, err = postsync(*command, "--url", url)
        assert code == 3
        assert url in err
        assert "postsync serve" in err


@pytest.mark.usefixtures("home")
def test_who_asks_a_plain_server_by_https_is_told_of_http(postsync: Postsync) -> None:
    """Nothing more can be told of a server that is not understood."""
    plain = os.environ["POSTSYNC_URL"]
    code, _, err = postsync("syncs", "--url", plain.replace("http:", "https:"))
    assert code == 3
    assert "write http://" in err


def test_syncs_are_a_table_whose_ids_are_whole(home: Path, postsync: Postsync) -> None:
    """An id that is cut short cannot be copied; a long application is no excuse."""
    name = "a-rather-long-application-name-of-a-real-shop"
    for index in range(2):
        postsync("send", str(written(home, application=f"{name}-{index}")))
    ids = [row["id"] for row in json.loads(postsync("syncs", "--output", "json")[1])]
    code, out, _ = postsync("syncs")
    assert code == 0
    heading, *lines = [line for line in out.splitlines() if line.strip()]
    assert heading.split()[:3] == ["SYNC", "FINISHED", "APPLICATION"]
    assert [line.split()[0] for line in lines] == ids
    assert all(f"argocd/{name}" in line for line in lines)
    one = postsync("syncs", "--application", f"{name}-0", "--limit", "5")[1]
    assert len(one.splitlines()) == 2


def test_an_empty_ledger_says_how_to_fill_it(home: Path, postsync: Postsync) -> None:
    """A newcomer's first command may well be this one."""
    assert home.is_dir()
    assert "postsync send" in postsync("syncs")[1]


def test_show_tells_a_sync_and_its_duplicates_in_order(home: Path, postsync: Postsync) -> None:
    """The newest one without an argument, and the same by its id."""
    postsync("send", str(written(home)))
    postsync("send", "--same")
    code, out, _ = postsync("show")
    assert code == 0
    assert "argocd/shop Succeeded" in out
    accepted, duplicate = out.index("notification.accepted"), out.index("notification.duplicate")
    assert accepted < duplicate
    story = json.loads(postsync("show", "last", "--output", "json")[1])
    assert [delivery["verdict"] for delivery in story["deliveries"]] == ["accepted", "duplicate"]
    assert postsync("show", story["id"])[1] == out


def test_show_waits_no_longer_than_it_was_told(home: Path, postsync: Postsync) -> None:
    """No dispatcher plans here, so the sync stays new."""
    postsync("send", str(written(home)))
    code, out, _ = postsync("show", "--wait", "0.3")
    assert code == 0
    assert "notification.accepted" in out


def test_show_of_an_unknown_sync_ends_with_1(home: Path, postsync: Postsync) -> None:
    """And names the way to the known ones."""
    assert home.is_dir()
    code, _, err = postsync("show", "s-nothing")
    assert code == 1
    assert "s-nothing" in err


def test_show_of_what_tells_of_no_operation_leaves_out_what_there_is_not(
    home: Path, postsync: Postsync
) -> None:
    """Another channel may tell of none; its trail has no empty keys either."""
    file = home / "notification.json"
    file.write_text(json.dumps({"application": {"name": "shop", "namespace": "argocd"}}))
    assert postsync("send", str(file), "--channel", "degraded")[0] == 0
    title, told, *_ = (out := postsync("show")[1]).splitlines()
    assert title == "argocd/shop (channel degraded, no operation)"
    assert re.fullmatch(r"sync s-\w+", told)
    assert "None" not in out
    assert not re.search(r"\w+=(\s|$|null)", out)
