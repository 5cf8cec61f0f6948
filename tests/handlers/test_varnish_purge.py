"""varnish.purge, against a real Varnish and a real nginx: cached before, gone after."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
from caches import Cache, nginx, varnish
from peers import call, closed_port, door
from pydantic import ValidationError

from handlers.varnish_purge import VarnishPurge, handler
from receiver.contract import Outcome, PermanentError, Succeeded, TemporaryError
from receiver.outbound import Outbound
from receiver.testkit import Case, Fault, Reply, Subject, usual

SUBJECTS = [
    Subject(
        handler,
        parameters={
            "caches": ["http://cache-0.example.com", "http://cache-1.example.com"],
            "paths": ["/a", "/b"],
            "headers": {"X-Token": {"env": "POSTSYNC_SECRET_CACHE"}},
        },
        uses_key=False,  # what is purged twice is purged
        cases=[
            *(Case(Reply(status), Succeeded) for status in (200, 202, 204, 404)),
            Case(Fault.GARBLED, Succeeded),
            *usual(without={404}),
        ],
    )
]


@pytest.fixture(scope="module")
def cache() -> Iterator[Cache]:
    with varnish() as running:
        yield running


def purge(*caches: str, state: Any = None, **given: Any) -> Outcome:
    outbound = Outbound()
    attempt = call(door(outbound, 10), state=state)
    try:
        return handler.run(VarnishPurge.model_validate({"caches": caches, **given}), attempt)
    finally:
        outbound.close()


def test_what_was_cached_is_fetched_anew_after_a_purge(cache: Cache) -> None:
    """And what was not named stays in the cache."""
    for path in ("/purged", "/kept"):
        cache.get(path)
        cache.get(path)
    outcome = purge(cache.url, host="www.example.com", paths=["/purged", "/never-seen"])
    assert outcome == Succeeded({"caches": 1, "requests": 2})
    for path in ("/purged", "/kept"):
        cache.get(path)
    assert (cache.count("/purged"), cache.count("/kept")) == (2, 1)


def test_another_hosts_object_of_the_same_path_stays(cache: Cache) -> None:
    """A cache keys by host: without it the wrong object would go."""
    cache.get("/hosted", host="other.example.com")
    purge(cache.url, host="www.example.com", paths=["/hosted"])
    cache.get("/hosted", host="other.example.com")
    assert cache.count("/hosted") == 1


def test_a_ban_takes_an_expression(cache: Cache) -> None:
    """Everything below a path, in one request; a wrong expression is permanent."""
    for path in ("/banned/a", "/banned/b"):
        cache.get(path)
    purge(cache.url, method="BAN", headers={"X-Ban": "req.url ~ ^/banned/"})
    for path in ("/banned/a", "/banned/b"):
        cache.get(path)
    assert (cache.count("/banned/a"), cache.count("/banned/b")) == (2, 2)
    with pytest.raises(PermanentError, match="answered 400"):
        purge(cache.url, method="BAN", headers={"X-Ban": "nonsense"})


def test_a_cache_that_is_down_keeps_no_other_stale(cache: Cache) -> None:
    """It alone is asked again, by the state that the attempt leaves."""
    cache.get("/other-down")
    down = f"http://127.0.0.1:{closed_port()}"
    with pytest.raises(TemporaryError, match="connection refused") as caught:
        purge(down, cache.url, host="www.example.com", paths=["/other-down"])
    assert caught.value.state == {"done": [f"{cache.url} www.example.com /other-down"]}
    cache.get("/other-down")
    assert cache.count("/other-down") == 2


def test_each_address_of_a_name_is_asked(cache: Cache) -> None:
    """As of a headless Service: here the name has the one address of loopback."""
    port = urlsplit(cache.url).port
    cache.get("/named")
    purge(f"http://localhost:{port}", eachAddress=True, host="www.example.com", paths=["/named"])
    cache.get("/named")
    assert cache.count("/named") == 2


class Pods:
    """Two caches on one port of two addresses, as the pods of a headless Service are."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.hosts: list[str] = []
        self.down: set[str] = set()
        pods = self

        class Pod(BaseHTTPRequestHandler):
            def do_PURGE(self) -> None:
                address = str(self.connection.getsockname()[0])
                pods.asked.append((address, self.path))
                pods.hosts.append(self.headers["Host"])
                self.send_response(503 if address in pods.down else 200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                return

        first = ThreadingHTTPServer(("127.0.0.1", 0), Pod)
        self.port = first.server_port
        self.servers = [first, ThreadingHTTPServer(("127.0.0.2", self.port), Pod)]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        for server in self.servers:
            server.shutdown()
            server.server_close()


@pytest.fixture
def pods(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    made, real = Pods(), socket.getaddrinfo

    def both(host: str, port: int, *more: Any) -> Any:
        if host != "varnish.cache.svc":
            return real(host, port, *more)
        if socket.AI_NUMERICHOST in more[3:]:
            raise socket.gaierror
        return [*real("127.0.0.1", port, *more[:3]), *real("127.0.0.2", port, *more[:3])]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    yield made
    made.close()


def test_the_pods_behind_a_name_are_all_asked_and_again_only_those_that_failed(pods: Pods) -> None:
    """One that restarts keeps no other stale, and is asked until it has purged."""
    name = f"http://varnish.cache.svc:{pods.port}"
    pods.down = {"127.0.0.2"}
    with pytest.raises(TemporaryError, match="answered 503") as caught:
        purge(name, eachAddress=True, paths=["/a"])
    assert sorted(pods.asked) == [("127.0.0.1", "/a"), ("127.0.0.2", "/a")]
    pods.down = set()
    outcome = purge(name, state=caught.value.state, eachAddress=True, paths=["/a"])
    assert outcome == Succeeded({"caches": 2, "requests": 2})
    assert pods.asked[2:] == [("127.0.0.2", "/a")]


def test_an_address_is_asked_for_what_its_name_would_be_asked_for(pods: Pods) -> None:
    """The path of the cache's address, and its host unless another is named."""
    name = f"http://varnish.cache.svc:{pods.port}"
    purge(f"{name}/base/", eachAddress=True, paths=["/a", "b"])
    assert [path for address, path in pods.asked if address == "127.0.0.1"] == [
        "/base/a",
        "/base/b",
    ]
    purge(name, eachAddress=True, host="www.example.com", paths=["/a"])
    purge(name, eachAddress=True, headers={"Host": "other.example.com"}, paths=["/a"])
    assert pods.hosts == [
        *[f"varnish.cache.svc:{pods.port}"] * 4,
        *["www.example.com"] * 2,
        *["other.example.com"] * 2,
    ]


def test_the_caches_of_a_rule_share_a_lane() -> None:
    """So that slow ones take no thread from those of other rules."""
    assert handler.lane({"caches": ["http://a.example.com:6081", "http://b"]}) == "a.example.com"
    assert handler.lane({"caches": []}) == handler.lane({"caches": None}) == ""


def test_an_nginx_has_its_purges_at_an_address_of_their_own() -> None:
    """It answers 404 to what it has not cached, which is what was wanted."""
    with nginx() as cache:
        for path in ("/purged", "/kept"):
            cache.get(path)
            cache.get(path)
        paths = ["/purge/purged", "/purge/never-seen"]
        outcome = purge(cache.url, host="www.example.com", method="GET", paths=paths)
        assert outcome == Succeeded({"caches": 1, "requests": 2})
        for path in ("/purged", "/kept"):
            cache.get(path)
        assert (cache.count("/purged"), cache.count("/kept")) == (2, 1)


def test_an_https_cache_cannot_be_asked_by_its_addresses() -> None:
    """No certificate names them."""
    with pytest.raises(ValidationError, match="https cache has no name"):
        VarnishPurge.model_validate({"caches": ["https://a"], "eachAddress": True})
