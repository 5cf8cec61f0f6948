"""What 5,000 PostSyncRules in 500 namespaces cost, and how soon a change of one is in force.

The API server is a real one, as the tests have it (`make test-deps` builds it).
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from loading import body_template
from rich.console import Console
from rich.table import Table
from stage import ROOT, machine, memory, metric, ours, tree

sys.path += [str(ROOT), str(ROOT / "tests"), str(ROOT / "tests/story"), str(ROOT / "tests/tenants")]
from control_plane import cluster
from kube import Kube
from postsyncrules import BOUNDS, PostSyncRules, say

from receiver.core.model import Destination, Sync
from receiver.notification.application_memory import Memory
from receiver.notification.parse import read_notification
from receiver.planning.parameters import Renderer
from receiver.planning.planner import Planner
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import rule_set_from
from receiver.rules.matching.compiled import CompiledSet, RuleCompiler
from receiver.rules.tenants.bounds import TenantBounds, Tenants
from receiver.rules.tenants.resource import load_resource

NAMESPACES = int(os.environ.get("BENCH_NAMESPACES", "500"))
EACH = 10
CHANGES = 20
SYNCS = 300
PATIENCE = 300.0
NO_RULES = "version: 1\nrules: []\n"
HERE = "https://kubernetes.default.svc"


def wait(condition: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > PATIENCE:
            sys.exit("it has not come in time; is the control plane well?")
        time.sleep(0.02)
    return time.monotonic() - began


def fill(kube: Kube) -> list[PostSyncRules]:
    """Make the namespaces and their rules."""
    PostSyncRules(kube, "default")

    def one(number: int) -> PostSyncRules:
        name = f"team-{number:03d}"
        kube.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        made = PostSyncRules(kube, name)
        for rule in range(EACH):
            selector = {"kind": "ConfigMap", "name": f"config-{rule}*"}
            made.put(f"rule-{rule}", match={"resources": [selector]})
        return made

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(NAMESPACES)))


def ready(port: int) -> bool:
    return metric(port, "postsync_tenant_rules", ready="true") >= NAMESPACES * EACH


def dispatcher(pid: int) -> float:
    """Megabytes of the largest process, which is the dispatcher: it has the rules."""
    return max(memory(one) for one in tree(pid))


def changes(home: Path, teams: list[PostSyncRules]) -> Iterator[float]:
    """Milliseconds from the answer to a change until the ledger has it in force."""
    with closing(sqlite3.connect(home / "ledger.db")) as ledger:
        for number, team in enumerate(teams[:CHANGES]):
            generation = team.put("rule-1", f"changed {number}")["metadata"]["generation"]
            query = (
                "SELECT 1 FROM custom_rules WHERE ready AND name = 'rule-1' "
                f"AND namespace = '{team.namespace}' AND generation = {generation}"
            )
            yield 1000 * wait(lambda query=query: bool(ledger.execute(query).fetchall()))  # type: ignore[misc] # its own


def planning(number: int) -> float:
    """Milliseconds of a core that planning a sync of 40 resources takes beside so many rules."""
    expressions, registry = Expressions(), Registry.discover()
    bounds = TenantBounds(namespaces=("team-*",), handlers=("log.message",))
    tenants = Tenants((bounds,), frozenset({HERE}))
    compiler = RuleCompiler(expressions, tenants)
    sets = [compiled(compiler, registry, expressions, one) for one in range(number)]
    own = compiler.compile_set(rule_set_from([("none.yaml", NO_RULES)]))
    planner = Planner(own, expressions, Renderer(expressions, registry), sets)
    sync = sync_of(body_template())
    began = time.process_time()
    for _ in range(SYNCS):
        assert len(planner.plan(sync, "d-1", Memory()).plans) == 1
    return 1000 * (time.process_time() - began) / SYNCS


def compiled(
    compiler: RuleCompiler, registry: Registry, expressions: Expressions, number: int
) -> CompiledSet:
    rule = number % EACH
    metadata = {"namespace": f"team-{number // EACH:03d}", "name": f"rule-{rule}"}
    match = {"resources": [{"kind": "ConfigMap", "name": f"config-{rule}0"}]}
    spec = {"match": match, "actions": [say("hello")]}
    return compiler.compile_set(
        load_resource({"metadata": metadata, "spec": spec}, registry, expressions)
    )


def sync_of(body: str) -> Sync:
    read = read_notification(
        body.replace("@@N@@", "1").encode(), sender="bench", channel="sync", query={}
    ).sync
    there = replace(read.application, destination=Destination(HERE, "", "team-000"))
    return replace(read, id="s-1", application=there)


def main() -> None:
    """Measure it and print the table."""
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as folder, cluster(Path(folder)) as kube:
        teams = fill(kube)
        setting = {
            "kubernetes": {"kubeconfig": {"env": "POSTSYNC_SECRET_IT"}},
            "bounds": [BOUNDS | {"namespaces": ["team-*"]}],
        }
        environ = {
            "POSTSYNC_TENANTS": json.dumps(setting), "POSTSYNC_SECRET_IT": kube.kubeconfig(),
        }  # fmt: skip
        with ours(NO_RULES) as (_, _, process):
            time.sleep(3)
            before = dispatcher(process.pid)
        with ours(NO_RULES, **environ) as (port, home, process):
            loaded = wait(lambda: ready(port))
            time.sleep(3)
            after = dispatcher(process.pid)
            times = sorted(changes(home, teams))
    rules = f"{NAMESPACES * EACH:,} rules"
    rows += [
        (f"{rules} loaded, from ready to all in force", f"{loaded:.1f} s", "under 30 s"),
        ("memory of the dispatcher, to without", f"{after - before:.0f} MB", "under 150 MB"),
        (
            "a change until it is in force, median / longest",
            f"{statistics.median(times):.0f} / {times[-1]:.0f} ms", "under 1 s",
        ),
        (f"planning a sync of 40 resources, {rules}", f"{planning(NAMESPACES * EACH):.2f} ms", ""),
        ("the same beside 10 rules", f"{planning(EACH):.2f} ms", "as much"),
    ]  # fmt: skip
    table = Table("Figure", "Measured", "Aim", title=machine())
    for row in rows:
        table.add_row(*row)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
