"""Secrets that services echo, in spellings of every kind, are written nowhere."""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from commands import typed
from notifications import notification, resource
from peers import Reply, Seen, peer
from service import TOKEN, Service, serving
from spellings import SPELLINGS, WRAPPED, spell

pytestmark = pytest.mark.slow

PATH = "T0ABCDEF1/B0GHIJKL2/abcDEFghiJKLmnoPQRstuVWX"
KEY = 'hush&+/"<Zq8Wk3vXn5TrLm>'
PASSWORD = "s3cr3t-päss/word+more"
SECRETS = (PATH, KEY, PASSWORD)
TELLING = ("T0ABCDEF1", "B0GHIJKL2", "abcDEFghiJKL", "Zq8Wk3vXn5TrLm", "s3cr3t-p", "ss/word+more")
RULES = """
version: 1
defaults: {{retry: {{for: 1s, initialDelay: 1s}}}}
rules:
- name: header
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    with:
      url: {url}/echo
      headers: {{X-Case: "${{{{ resource.name }}}}", Cookie: {{env: POSTSYNC_SECRET_KEY}}}}
      json: {{user: ci, nested: [{{password: {{env: POSTSYNC_SECRET_PASSWORD}}}}]}}
- name: address
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    with:
      url: {{env: POSTSYNC_SECRET_PATH, format: "{url}/services/{{}}"}}
      headers: {{X-Case: "${{{{ resource.name }}}}"}}
- name: poll
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    target: application
    with:
      url: {url}/echo
      headers: {{Cookie: {{env: POSTSYNC_SECRET_KEY}}}}
      poll: {{url: "'/again'", until: answer.json.not.there, every: 1s}}
- name: slack
  match: {{resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: slack.message
    target: application
    with:
      webhook: {{env: POSTSYNC_SECRET_PATH, format: "{url}/services/{{}}"}}
      text: synced
"""
STATUSES = (200, 400, 200, 200, 503, 400, 400)


def _chosen() -> list[tuple[str, ...]]:
    """Return cases: each spelling, many in another one, and some of these in a third."""
    names = sorted(SPELLINGS)
    count = len(names)
    two = [(name, names[(5 * at + 3) % count]) for at, name in enumerate(names)]
    three = [(*pair, names[(7 * at + 1) % count]) for at, pair in enumerate(two)]
    return [*((name,) for name in names), *two[::2], *three[1::4]]


def _answer(cases: list[tuple[str, ...]], seen: Seen) -> Reply:
    """Echo what was sent in a case's spelling: in an error or a success, as text or in JSON."""
    case = int(seen.headers.get("x-case", "c-0").removeprefix("c-"))
    sent = [PATH] if PATH in seen.path else [KEY, PASSWORD] if seen.body else [KEY]
    told = " ".join(spell(secret, *cases[case]) for secret in sent)
    text = f"Cannot {seen.method} {seen.path}: {told}"
    status = STATUSES[case % len(STATUSES)] if seen.path != "/again" else 200
    header = {"X-Echo": json.dumps(told)[1:-1]}
    if case % 2:
        body = json.dumps({"error": "went wrong", "message": text, told: [1, told]})
        return Reply(status, body.encode(), header | {"Content-Type": "application/json"})
    return Reply(status, text.encode(), header | {"Content-Type": "text/html"})


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Everything that a service has written and answers, by its place, after each case."""
    cases = _chosen()
    environ: dict[str, Any] = {"secret_path": PATH, "secret_key": KEY, "secret_password": PASSWORD}
    with peer(lambda seen: _answer(cases, seen)) as there:
        rules = RULES.format(url=there.url)
        with serving(tmp_path_factory.mktemp("secrets"), rules, **environ) as service:
            names = [f"c-{number}" for number in range(len(cases))]
            body = notification(*map(resource, names))
            sync = str(service.request("POST", "/v1/notifications", body)[1]["sync"])
            service.ended(sync, 120)
            found = {**dict(_answers(service, sync)), **dict(_commands(service, sync))}
            assert service.stop() == 0
            found["log"] = service.log.read_text()
            found |= dict(_ledger(service.home / "ledger.db"))
        bodies = [json.loads(seen.body) for seen in there.seen if b"nested" in seen.body]
        assert bodies[0] == {"user": "ci", "nested": [{"password": PASSWORD}]}  # it was sent
        assert {seen.path for seen in there.seen} == {"/echo", "/again", f"/services/{PATH}"}
    return found


def _answers(service: Service, sync: str) -> Iterator[tuple[str, str]]:
    runs = service.request("GET", "/v1/runs?limit=500", role="operators")[1]["runs"]
    paths = [
        "/healthz", "/readyz", "/v1/syncs", f"/v1/syncs/{sync}", "/v1/plans?limit=500&fields=*",
        "/v1/runs?limit=500&fields=*", "/v1/events?limit=500",
        *(f"/v1/runs/{run['id']}" for run in runs[:40]),
    ]  # fmt: skip
    for path in paths:
        answer = service.request("GET", path, role="operators")[1]
        yield path, json.dumps(answer, ensure_ascii=False)
    connection = HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {TOKEN}operators"})
    yield "/metrics", connection.getresponse().read().decode()
    connection.close()


def _commands(service: Service, sync: str) -> Iterator[tuple[str, str]]:
    payload = service.home / "payload.json"
    payload.write_bytes(notification(resource("c-1")))
    trial = ["try", "header", "--yes", "--payload", str(payload)]
    for words in (["syncs"], ["runs"], ["plans"], ["show", sync], ["export"], trial):
        done = typed(service, *words)
        assert done.stdout, done.stderr
        yield " ".join(words[:1]), done.stdout + done.stderr


def _ledger(file: Path) -> Iterator[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"').fetchall()
            yield f"table {table}", "\n".join(_plain(value) for row in rows for value in row)


def _plain(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zlib.decompress(value).decode()
    except zlib.error:
        return value.decode("utf-8", "replace")


def _forms() -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield what must not be found: of each spelling its middle, or all of it where it has more."""
    for case in _chosen():
        for secret in SECRETS:
            form = spell(secret, *case)
            middle = form[len(form) // 4 : 3 * len(form) // 4]
            yield case, form if WRAPPED & set(case) else middle


def test_no_place_has_a_secret_in_any_spelling(written: dict[str, str]) -> None:
    """Ledger, log, API, metrics and commands, as they are and as their JSON is read."""
    assert len(written) > 60
    forms = [(case, one) for case, form in _forms() for one in {form, json.dumps(form)[1:-1]}]
    told = [
        (place, case, form)
        for place, text in written.items()
        for case, form in [*forms, *(((), part) for part in TELLING)]
        if form in text
    ]
    assert told == []


def test_what_was_echoed_is_there_but_for_the_secrets(written: dict[str, str]) -> None:
    """The reason of a failure is of use all the same; where the address was secret, its kind is."""
    assert "Cannot POST /echo: [secret]" in written["table runs"]
    hidden = "answered 400: text/html, not shown since a secret is in the address"
    assert hidden in written["table runs"]
    assert (
        '"json": {"error": "went wrong", "message": "Cannot POST [secret]'
        in written["/v1/runs?limit=500&fields=*"]
    )
