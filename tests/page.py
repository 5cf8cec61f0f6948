"""The page as its tests open it: with a session, and with what its forms carry."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape

from desks import live_house_of
from doors import OPERATOR, Doors
from flask.testing import FlaskClient
from house import NOON, House
from notifications import resource
from werkzeug.test import TestResponse

from receiver.ledger.engine.ledger import Ledger

RULES = """
- name: purge-shop-assets
  description: The CDN may keep old assets after the asset ConfigMap changed.
  match: {resources: [{kind: ConfigMap, name: assets-*}]}
  actions:
  - {name: purge, uses: log.message, with: {text: "purge ${{ resource.name }}"}}
  - {name: tell, uses: log.message, wave: 1, target: application, with: {text: "purged"}}
  onFailure:
  - {name: alarm, uses: log.message, with: {text: "the purge failed"}}
- name: restart-workers
  match: {resources: [{kind: Deployment, name: worker}]}
  limits: {maxTargets: 1}
  actions: [{name: restart, uses: log.message, with: {text: restart}}]
- name: migrate
  match: {resources: [{kind: Job, name: migrate-*}]}
  actions: [{name: ask, uses: log.message, suspend: true, with: {text: migrate}}]
- name: tell-team
  match: {application: {name: blog}}
  actions: [{name: tell, uses: log.message, target: application, with: {text: told}}]
"""
"""Rules of a shop: what purges a cache and tells of it, what waits for a person, what tells all."""


def csrf_of(page: TestResponse) -> str:
    """What the page's first form carries against forgery."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def log_in(client: FlaskClient, token: str = OPERATOR) -> TestResponse:
    """Open a session, and the page's beginning."""
    form = {"csrf": csrf_of(client.get("/page/login")), "token": token}
    return client.post("/page/login", data=form, follow_redirects=True)


def words(page: TestResponse) -> str:
    """What the page says, without its markup, in one line."""
    main = page.text.partition("<main")[2].partition("</main>")[0].partition(">")[2]
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", main)).split())


def fill(ledger: Ledger) -> House:
    """Syncs of several Applications, of which some failed, wait for an approval, or are done."""
    house = live_house_of(ledger, RULES)
    at = (datetime.now(UTC) - NOON).total_seconds() - 200
    house.sync("assets-img", "assets-css", at=at)
    house.work()
    house.sync(resource("web", kind="Deployment"), application="blog", at=at + 60)
    house.work()
    house.sync("other", application="docs", project="manuals", at=at + 90, phase="Failed")
    house.sync(resource("migrate-7", kind="Job"), application="api", at=at + 120)
    house.sync("assets-img", "assets-js", "other", at=at + 180)
    house.end(*house.claim(), fails="answered 404: no such zone")
    house.work()
    return house


def look(web: Doors, path: str) -> TestResponse:
    answer = web.client.get(f"/page{path}")
    assert answer.status_code == 200, answer.text
    return answer


def rows(page: TestResponse) -> list[str]:
    """The Applications of the list."""
    return re.findall(r'class="app" data-row [^>]*>([^<]+)<', page.text)


def id_of(house: House, table: str, condition: str) -> str:
    return str(house.query(f"SELECT id FROM {table} WHERE {condition} ORDER BY id")[0])


def failed_run(house: House) -> str:
    return id_of(house, "runs", "state = 'failed'")
