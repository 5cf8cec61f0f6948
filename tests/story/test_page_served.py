"""The page as `postsync serve` has it, over its own server and as a browser would ask."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from email.message import Message
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from service import TELL, TOKEN, Service, serving


@dataclass(frozen=True)
class Answer:
    """What came."""

    status: int
    headers: Message
    text: str

    def cookie(self, name: str) -> str:
        lines = self.headers.get_all("Set-Cookie", [])
        (line,) = [one for one in lines if one.startswith(f"{name}=")]
        return str(line).partition(";")[0]


def ask(service: Service, method: str, path: str, cookie: str = "", body: str = "") -> Answer:
    """Send a request without a token in its head."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
    with closing(HTTPConnection("127.0.0.1", service.port, timeout=60)) as connection:
        connection.request(method, path, body or None, {"Cookie": cookie, **kind})
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read().decode())


def test_a_person_logs_in_looks_and_logs_out(tmp_path: Path) -> None:
    """The token comes in the body of somebody who is not known yet, and its line ends the session.

    A body that is no form of the page is not read.
    """
    with serving(tmp_path, TELL) as service:
        form = ask(service, "GET", "/page/login")
        cookie = form.cookie("postsync-form")
        csrf = re.findall(r'name="csrf" value="([^"]+)"', form.text)[0]
        wrong = urlencode({"csrf": csrf, "token": "not-a-token-of-anybody"})
        assert ask(service, "POST", "/page/login", cookie, wrong).status == 401
        right = urlencode({"csrf": csrf, "token": f"{TOKEN}operators"})
        entered = ask(service, "POST", "/page/login", cookie, right)
        assert (entered.status, entered.headers["Location"]) == (303, "/page")
        session = entered.cookie("postsync")
        listed = ask(service, "GET", "/page", session)
        assert (listed.status, "No syncs yet" in listed.text) == (200, True)
        assert ask(service, "GET", "/page", "postsync=\xff\xfe").status == 303
        assert ask(service, "POST", "/page/logout", "", "x" * 100).status == 403
        assert ask(service, "GET", "/page/assets/page.css").status == 200
        (tmp_path / "operators/test").write_text("another-token-0123456789")
        while ask(service, "GET", "/page", session).status == 200:
            pass
        assert service.events("request.unauthenticated")
        assert service.stop() == 0
