"""Two teams with rules of their own beside the operator's, over one ledger, and their tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from desks import put_in_force
from doors import Doors, doors, token_file
from house import NOON, House
from notifications import notification, resource
from planning import handlers
from werkzeug.test import TestResponse

from receiver.dispatcher.rule_sets import outline_of
from receiver.ledger.audit.key_values import store_rule_set
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.engine.unit_of_work import UnitOfWork
from receiver.ledger.plans.custom_rules import CustomRule, store_custom_rule
from receiver.ledger.queue.heartbeats import DispatcherHeartbeat, write_heartbeat
from receiver.planning.parameters import Renderer
from receiver.planning.planner import Planner
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.load import RuleSet, rule_set_from
from receiver.rules.matching.compiled import RuleCompiler
from receiver.rules.tenants.resource import load_resource
from receiver.settings.model import Settings
from receiver.settings.tenants import tenants_of

CLUSTER = "https://kubernetes.default.svc"

SETTING: dict[str, Any] = {
    "kubernetes": {"inCluster": True},
    "bounds": [
        {"namespaces": ["team-a"], "projects": ["alpha"], "handlers": ["log.message"]},
        {"namespaces": ["team-b"], "handlers": ["log.message"]},
    ],
    "tokens": {"a-op": ["team-a"], "a-view": ["team-a"], "b-op": ["team-b"]},
}

OPERATORS_RULES = """
- name: audit
  match: {resources: [{kind: ConfigMap}]}
  actions: [{uses: log.message, with: {text: "SECRET-OF-OPERATOR"}}]
- name: odd
  match: {condition: "int(application.name) > 1"}
  actions: [{uses: log.message, with: {text: odd}}]
"""
"""What sees every sync, and what fails on each."""


def token_of(name: str) -> str:
    return f"token-of-{name}-0123456789"


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token_of(name)}"}


def custom(namespace: str, name: str, *actions: dict[str, Any]) -> RuleSet:
    """The set of a PostSyncRule that says its team's word for each ConfigMap."""
    word = {"uses": "log.message", "with": {"text": f"SECRET-OF-{namespace}"}}
    spec = {"match": {"resources": [{"kind": "ConfigMap"}]}, "actions": list(actions) or [word]}
    metadata = {"name": name, "namespace": namespace}
    return load_resource({"metadata": metadata, "spec": spec}, handlers(), Expressions())


def in_force(ledger: Ledger, *sets: RuleSet) -> House:
    """A house with these PostSyncRules in force beside the operator's rules."""
    expressions, tenants = Expressions(), tenants_of(Settings(tenants=SETTING).tenants)
    compiler = RuleCompiler(expressions, tenants)
    files = compiler.compile_set(
        rule_set_from([("r.yaml", f"version: 1\nrules:{OPERATORS_RULES}")])
    )
    renderer = Renderer(expressions, handlers(), tenants)
    own = [compiler.compile_set(one) for one in sets]
    house = House(ledger, Planner(files, expressions, renderer, own))
    for one in (files.rule_set, *sets):
        house.sets[one.digest] = {rule.name: rule for rule in one.rules}
    put_in_force(house)
    with ledger.write() as connection:
        now = ledger.now(connection)
        write_heartbeat(connection, "w-1", DispatcherHeartbeat(now))
        uow = UnitOfWork(connection, now)
        for one in sets:
            namespace, _, name = one.rules[0].name.partition("/")
            store_rule_set(connection, now, one.digest, one.files)
            outline = json.dumps(next(outline_of(one)))
            row = CustomRule(
                namespace, name, f"u-{name}", 1, one.digest, True, "InForce", "", outline
            )
            store_custom_rule(uow, row)
        uow.finish()
    return house


@dataclass
class Teams:
    """The app, and what lies in its ledger.

    Attributes:
        a: a sync of team-a's, planned by its rule and by the operator's.
        b: one of team-b's, likewise.
        outside: one that no team may see.
    """

    web: Doors
    house: House
    a: str
    b: str
    outside: str

    def get(self, path: str, who: str = "a-op") -> TestResponse:
        return self.web.client.get(path, headers=bearer(who))

    def json(self, path: str, who: str = "a-op") -> Any:
        answer = self.get(path, who)
        assert answer.status_code == 200, answer.text
        return answer.get_json()

    def post(self, path: str, who: str = "a-op", method: str = "POST", **body: Any) -> TestResponse:
        return self.web.client.open(path, method=method, json=body, headers=bearer(who))

    def id_of(self, table: str, rule: str) -> str:
        """The id of the one plan or run of a rule."""
        (found,) = self.house.query(f"SELECT id FROM {table} WHERE rule = '{rule}'")
        return str(found)


def bring(
    house: House, team: str, name: str, *, project: str = "default", minutes: float = 0
) -> str:
    """Store and plan a sync into a namespace, finished so many minutes after noon."""
    options = {"application": f"app-{team}", "project": project}
    finished = NOON + timedelta(minutes=minutes)
    body = json.loads(notification(resource(name), finished=finished, **options))
    body["application"]["destination"] = {"server": CLUSTER, "namespace": team}
    return house.plan([house.bring(json.dumps(body).encode())])[0]


@contextmanager
def teams(ledger: Ledger, home: Path, *more: RuleSet) -> Iterator[Teams]:
    """Both teams, each with a sync of its own that two rules have matched, and all work done."""
    sets = custom("team-a", "tell"), custom("team-b", "tell"), custom("team-b", "only-theirs")
    house = in_force(ledger, *sets, *more)
    made = [bring(house, team, f"cm-{team}") for team in ("team-a", "team-b", "elsewhere")]
    house.work()
    for name in ("a-op", "b-op", "root"):
        token_file(home, f"operators/{name}", token_of(name))
    token_file(home, "viewers/a-view", token_of("a-view"))
    with doors(ledger, home, tenants=SETTING) as web:
        yield Teams(web, house, *made)
