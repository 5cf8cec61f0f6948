from __future__ import annotations

import base64
import gzip
import json
import re
from contextlib import closing

import pytest
from peers import Reply, Seen, closed_port, door, peer

from receiver.core.errors import PermanentError, SettingsError, TemporaryError
from receiver.outbound import Outbound


def test_a_request_arrives_as_it_was_given_and_its_answer_comes_back(outbound: Outbound) -> None:
    """Method, path, headers and body go out; status, headers in lower case and body come back."""
    with peer(lambda seen: Reply(201, seen.body[::-1], {"X-One": "1"})) as there:
        answer = door(outbound).send(
            "PURGE", there.url + "/a?b=c", headers={"X-Two": "2"}, body=b"abc"
        )
    seen = there.seen[0]
    assert (seen.method, seen.path, seen.body) == ("PURGE", "/a?b=c", b"abc")
    assert seen.headers["x-two"] == "2"
    assert seen.headers["user-agent"].startswith("postsync/")
    assert (answer.status, answer.body, answer.headers["x-one"]) == (201, b"cba", "1")
    assert answer.truncated is False


def test_connections_are_kept(outbound: Outbound) -> None:
    """Calls one after the other, of several attempts, use one connection."""
    with peer(lambda _: Reply(200, b"x")) as there:
        for _ in range(5):
            door(outbound).send("GET", there.url)
    assert len({seen.port for seen in there.seen}) == 1


def test_a_pool_that_was_given_up_is_made_again() -> None:
    """More servers than may have connections kept, by turns: each call arrives."""
    with closing(Outbound(pool_size=1)) as outbound, peer() as one, peer() as other:
        for there in (one, other, one, other):
            assert door(outbound).send("GET", there.url).status == 200
    assert (len(one.seen), len(other.seen)) == (2, 2)


def test_a_redirect_is_the_answer(outbound: Outbound) -> None:
    """Nothing is followed, wherever it leads."""
    with peer(lambda _: Reply(302, b"moved", {"Location": "http://169.254.169.254/"})) as there:
        answer = door(outbound).send("POST", there.url, body=b"x")
    assert (answer.status, answer.body, len(there.seen)) == (302, b"moved", 1)


def test_the_body_of_a_redirect_is_limited_too(outbound: Outbound) -> None:
    """A redirect's answer is read no further than another."""
    with peer(lambda _: Reply(302, b"x" * 5_000_000, {"Location": "/b"})) as there:
        answer = door(outbound).send("GET", there.url, max_answer=10)
    assert (answer.body, answer.truncated) == (b"x" * 10, True)


def test_cookies_do_not_stay(outbound: Outbound) -> None:
    """What one call is given, the next one does not send."""
    with peer(lambda _: Reply(200, b"", {"Set-Cookie": "who=me; Path=/"})) as there:
        door(outbound).send("GET", there.url)
        door(outbound).send("GET", there.url)
    assert all("cookie" not in seen.headers for seen in there.seen)


def test_an_answer_is_cut_at_its_limit_and_says_so(outbound: Outbound) -> None:
    """Up to max_answer bytes are whole; more are cut."""
    with peer(lambda _: Reply(200, b"x" * 100)) as there:
        whole = door(outbound).send("GET", there.url, max_answer=100)
        cut = door(outbound).send("GET", there.url, max_answer=99)
    assert (len(whole.body), whole.truncated) == (100, False)
    assert (len(cut.body), cut.truncated) == (99, True)


def test_a_compressed_bomb_is_cut(outbound: Outbound) -> None:
    """The limit counts what was decoded."""
    bomb = gzip.compress(bytes(50_000_000))
    with peer(lambda _: Reply(200, bomb, {"Content-Encoding": "gzip"})) as there:
        answer = door(outbound).send("GET", there.url, max_answer=1000)
    assert (len(answer.body), answer.truncated) == (1000, True)


def test_the_environments_proxy_and_netrc_are_not_used(
    outbound: Outbound, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are settings of ours."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "")
    with peer() as there:
        assert door(outbound).send("GET", there.url).status == 200


def test_a_proxy_gets_the_call_and_the_policy_still_judges_its_target() -> None:
    """The target's name goes to the proxy; a denied one goes nowhere."""
    with peer(lambda seen: Reply(200, seen.path.encode())) as proxy:
        outbound = Outbound(proxy=proxy.url, deny_hosts=["*.internal"])
        answer = door(outbound).send("GET", "http://example.invalid/a")
        for denied in ("http://db.internal/", "http://169.254.169.254/", "http://0xa9fea9fe/"):
            with pytest.raises(PermanentError, match=r"db\.internal|169\.254\.169\.254"):
                door(outbound).send("GET", denied)
        outbound.close()
    assert answer.body == b"http://example.invalid/a"
    assert len(proxy.seen) == 1


def test_a_proxy_that_is_not_there_is_named() -> None:
    """The reason says that it was on the way, not at the target."""
    outbound = Outbound(proxy=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(TemporaryError) as caught:
        door(outbound).send("GET", "http://example.invalid/a")
    assert str(caught.value) == "example.invalid:80 through the proxy: connection refused"


def test_a_proxy_that_refuses_a_tunnel_is_named() -> None:
    """Its status is in the reason."""
    with peer(lambda _: Reply(403)) as proxy:
        outbound = Outbound(proxy=proxy.url)
        with pytest.raises(TemporaryError) as caught:
            door(outbound).send("GET", "https://example.invalid/a")
        outbound.close()
    words = "tunnel connection failed: 403 forbidden"
    assert str(caught.value) == f"example.invalid:443 through the proxy: {words}"
    assert proxy.seen[0].method == "CONNECT"


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://127.0.0.1/x", "is no URL of http or https"),
        ("file:///etc/passwd", "is no URL of http or https"),
        ("/relative", "No scheme supplied"),
        ("http://", "No host supplied"),
        ("http://127.0.0.1:99999/", "127.0.0.1:99999"),
        ("http://ann:pass@127.0.0.1/", "has a user in it"),
        (f"http://{'a' * 70}.example/", "can be no host's name"),
    ],
)
def test_a_url_that_is_none_is_refused(outbound: Outbound, url: str, words: str) -> None:
    """It fails at once, with the reason."""
    with pytest.raises(PermanentError, match=words.replace(".", r"\.")):
        door(outbound).send("GET", url)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-A": "b\r\nX-C: d"}, "header X-A has a line break"),
        ({"X-A": "b\nc"}, "header X-A has a line break"),
        ({"X-A": " b"}, "header X-A has a line break .* or begins with white space"),
        ({"X-A\r\nX-B": "c"}, "is no header's name"),
        ({"X A": "c"}, "is no header's name"),
        ({"X-A": "\u2192"}, "another character that no header can carry"),
        ({"Content-Length": "3"}, "header Content-Length follows from the body"),
        ({"transfer-encoding": "chunked"}, "header transfer-encoding follows from the body"),
    ],
)
def test_headers_stay_in_their_line(
    outbound: Outbound, headers: dict[str, str], words: str
) -> None:
    """Nothing that would break out of a header is sent."""
    with peer() as there, pytest.raises(PermanentError, match=words):
        door(outbound).send("GET", there.url, headers=headers)
    assert there.seen == []


def test_a_method_is_a_word(outbound: Outbound) -> None:
    """No request line can be made of a method."""
    with peer() as there, pytest.raises(PermanentError, match="the method is no word"):
        door(outbound).send("GET / HTTP/1.1\r\nX: y", there.url)


def test_a_refused_connection_is_temporary_and_said_in_plain_words(outbound: Outbound) -> None:
    """No library's own words are shown."""
    port = closed_port()
    with pytest.raises(TemporaryError) as caught:
        door(outbound).send("GET", f"http://127.0.0.1:{port}/")
    assert str(caught.value) == f"127.0.0.1:{port}: connection refused"


def test_an_unknown_name_is_temporary(outbound: Outbound) -> None:
    """A name may be known in a moment."""
    with pytest.raises(TemporaryError, match=r"nobody\.invalid:80"):
        door(outbound, 5).send("GET", "http://nobody.invalid/")


def test_a_missing_ca_bundle_is_refused_at_the_start() -> None:
    """Not at the first call."""
    from pathlib import Path

    with pytest.raises(SettingsError, match="caBundle /nowhere does not exist"):
        Outbound(ca_bundle=Path("/nowhere"))


def test_what_leaves_is_masked(outbound: Outbound) -> None:
    """Neither a host nor a path nor a header's name tells a secret."""
    secret = "hush-hush-1"
    for url, headers in (
        (f"http://127.0.0.1:{closed_port()}/", {secret + "\n": "x"}),
        (f"ftp://127.0.0.1/{secret}", {}),
        (f"http://{secret}.invalid/", {}),
    ):
        with pytest.raises((PermanentError, TemporaryError)) as caught:
            door(outbound, 5, secret).send("GET", url, headers=headers)
        assert secret not in str(caught.value)
        assert "[secret]" in str(caught.value)


@pytest.mark.parametrize("password", ["hunt/er22", "12/34", "hunt?er22", "hunt#er22", "a/b@c/d"])
@pytest.mark.parametrize("form", ["https://user:{}@host/", "https://user:{}@host.example/x?y=z"])
def test_an_address_that_its_password_cuts_in_two_shows_nothing(
    outbound: Outbound, password: str, form: str
) -> None:
    """Half of it would be taken for a host or a port, and be told as what is wrong."""
    address = form.format(password)
    with pytest.raises(PermanentError) as caught:
        door(outbound, 5, password, address).send("GET", address)
    assert str(caught.value).startswith("the address is no URL (a secret is in it")
    assert not {"hunt", "er22", "12", "34", "a/b"} & set(re.split(r"[ :@'/?#]", str(caught.value)))


@pytest.mark.parametrize("address", ["http:///{}", "https://[{}/", "{}", "https://a:{}/"])
def test_an_address_that_is_none_is_not_quoted_where_it_has_a_secret(
    outbound: Outbound, address: str
) -> None:
    """The libraries' words about it quote it, or a part of it."""
    secret = "half-of-it/other-half"
    with pytest.raises(PermanentError) as caught:
        door(outbound, 5, secret).send("GET", address.format(secret))
    assert "half" not in str(caught.value)


@pytest.mark.parametrize("password", ["pass-word-1", "pa/ss/wo/rd", "12/34"])
def test_the_password_of_a_proxy_is_told_by_nobody(password: str) -> None:
    """Neither by an answer of the proxy, which sees it, nor where its address is no URL."""
    with peer(lambda seen: Reply(200, json.dumps(dict(seen.headers)).encode())) as there:
        proxy = there.url.replace("http://", f"http://user:{password}@")
        try:
            with closing(Outbound(proxy=proxy)) as outbound:
                told = door(outbound, 5).send("GET", "http://target.invalid/").excerpt(2000)
            assert "proxy-authorization" in told
            assert "[secret]" in told
        except (SettingsError, PermanentError, TemporaryError) as error:
            told = str(error)
    assert password not in told
    assert base64.b64encode(f"user:{password}".encode()).decode() not in told
    assert not {"ss", "wo", "rd", "12", "34"} & set(re.split(r"\W", told))


def test_a_cut_answer_ends_with_no_half_of_a_secret(outbound: Outbound) -> None:
    """An echo that the limit cuts through could not be found by the masker."""

    def echo(seen: Seen) -> Reply:
        return Reply(500, b"you sent " + seen.headers["x-token"].encode() + b" to me")

    with peer(echo) as there:
        answer = door(outbound, 5, "abcdefgh-12345").send(
            "GET", there.url, headers={"X-Token": "abcdefgh-12345"}, max_answer=19
        )
    assert answer.body == b"you sent "


def test_the_addresses_of_a_name_are_those_that_may_be_called(outbound: Outbound) -> None:
    """Each address of a host is told, and a host that may not be called is refused."""
    assert "127.0.0.1" in door(outbound, 5).addresses("localhost")
    with pytest.raises(PermanentError, match="never called"):
        door(outbound, 5).addresses("169.254.169.254")
    with pytest.raises(TemporaryError, match="the name is not known"):
        door(outbound, 5).addresses("nosuch.invalid")
