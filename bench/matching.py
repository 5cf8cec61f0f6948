"""How long matching takes, and what it follows: the rules that could match, not all of them.

    python bench/matching.py

No network, no ledger. Each figure is the best of several rounds on one core, in
milliseconds; the resources' columns are built anew each time, as for every sync.
"""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.table import Table

from receiver.core.model import Application, Change, ChangeVerdict, Resource, Sync
from receiver.rules.expressions.cel import Expressions
from receiver.rules.matching.matcher import Matcher
from receiver.rules.schema.rule_file import Rule

KINDS = (
    ("", "ConfigMap"),
    ("", "Service"),
    ("apps", "Deployment"),
    ("batch", "CronJob"),
    ("", "Secret"),
)
ROUNDS = 7
ACTIONS = [{"uses": "log.message"}]
LUCK = random.Random(2)


def main() -> None:
    console = Console()
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    console.print(sizes())
    console.print(growth())
    console.print(worst_cases())


def sizes() -> Table:
    table = Table("rules", "resources", "near rules", "matches", "match ms", "explain ms")
    for rules, resources in ((100, 40), (1000, 40), (1000, 1000), (1000, 5000)):
        near = rules // 20
        row = measure(list(realistic(rules, near)), sync_of(resources))
        table.add_row(str(rules), str(resources), str(near), *row)
    table.title = "95% of the rules are for other applications or kinds"
    return table


def growth() -> Table:
    table = Table("rules that cannot match", "matches", "match ms", "explain ms")
    sync = sync_of(1000)
    for others in (0, 10, 100, 1000, 5000):
        rules = [near_rule(number) for number in range(10)]
        rules += [far_rule(number) for number in range(others)]
        table.add_row(str(others), *measure(rules, sync))
    table.title = "10 near rules and 1000 resources, and only rules added that cannot match"
    return table


def worst_cases() -> Table:
    table = Table("1000 rules for this application and kind", "matches", "match ms")
    sync = sync_of(5000, kinds=1)
    cases: dict[str, Callable[[int], Rule]] = {
        "name: literal": lambda n: rule_of(
            n, resources=[{"kind": "ConfigMap", "name": f"config-{n}"}]
        ),
        "name: prefix-*": lambda n: rule_of(
            n, resources=[{"kind": "ConfigMap", "name": f"config-{n}*"}]
        ),
        "name: *-suffix": lambda n: rule_of(n, resources=[{"kind": "ConfigMap", "name": f"*-{n}"}]),
        "every resource, each rule": lambda n: rule_of(n, resources=[{"kind": "ConfigMap"}]),
    }
    for name, make in cases.items():
        found = measure([make(number) for number in range(1000)], sync, explain=False)
        table.add_row(name, *found[:2])
    for name in ("name: literal", "name: prefix-*"):
        rules = [cases[name](number) for number in range(10_000)]
        found = measure(rules, sync_of(40, kinds=1), explain=False)
        table.add_row(f"10000 rules and 40 resources only, {name}", *found[:2])
    one = [
        rule_of(n, resources=[{"kind": "ConfigMap"}], condition=f"resource.name.endsWith('-{n}')")
        for n in range(10)
    ]
    table.add_row(
        "10 rules only, with a condition on each resource", *measure(one, sync, explain=False)[:2]
    )
    table.title = "5000 changed or unchanged ConfigMaps"
    return table


def names_only(rules: int) -> Callable[[], float]:
    """What matching 40 resources costs with rules that only a name, or its prefix, tells apart."""
    names = (f"config-{n}" if n % 2 else f"config-{n}-*" for n in range(rules))
    own = [
        rule_of(n, resources=[{"kind": "ConfigMap", "name": name}]) for n, name in enumerate(names)
    ]
    matcher, sync = Matcher(own, Expressions()), sync_of(40, kinds=1)
    return lambda: best(lambda: matcher.match(sync), ROUNDS)


def measure(rules: list[Rule], sync: Sync, *, explain: bool = True) -> tuple[str, str, str]:
    matcher = Matcher(rules, Expressions())
    found = sum(max(1, len(match.resources)) for match in matcher.match(sync))
    match = best(lambda: matcher.match(sync), ROUNDS)
    dense = f"{best(lambda: list(matcher.explain(sync)), 2):.1f}" if explain else ""
    return str(found), f"{match:.2f}", dense


def best(call: Callable[[], object], rounds: int) -> float:
    def once() -> float:
        start = time.perf_counter()
        call()
        return (time.perf_counter() - start) * 1000

    return min(once() for _ in range(rounds))


def sync_of(resources: int, kinds: int = len(KINDS)) -> Sync:
    return Sync(
        sender="prod",
        channel="sync",
        application=Application("shop-web", "argocd", "web", labels={"tier": "edge"}),
        phase="Succeeded",
        started_at=None,
        finished_at=None,
        resources=tuple(resource(number, kinds) for number in range(resources)),
    )


def resource(number: int, kinds: int) -> Resource:
    group, kind = KINDS[number % kinds]
    changed = number % 3 == 0
    verdict = ChangeVerdict.CHANGED if changed else ChangeVerdict.UNCHANGED
    name, images = f"{kind.lower()[:6]}-{number}", (f"ghcr.io/acme/shop:{number}",)
    return Resource(
        group, "v1", kind, f"shop-{number % 7}", name, "Synced", f"{kind.lower()}/{name} {verdict}",
        "", "Succeeded", "Sync", images if kind == "Deployment" else (),
        Change(verdict, "configured" if changed else "unchanged"), changed,
    )  # fmt: skip


def realistic(count: int, near: int) -> Iterator[Rule]:
    rules = [near_rule(number) for number in range(near)]
    rules += [far_rule(number) for number in range(count - near)]
    LUCK.shuffle(rules)
    yield from rules


def near_rule(number: int) -> Rule:
    """A rule for this application: a third of them with a condition, some on the resource."""
    return rule_of(
        number,
        application={"name": ["shop-*", "shop-web", "*-web"][number % 3]},
        resources=[
            {"kind": "ConfigMap", "namespace": "shop-*", "name": f"config-*{number % 50}"},
            {"group": "apps", "kind": "Deployment", "image": f"ghcr.io/*:{number}*"},
        ],
        condition=["!sync.dryRun", None, "resource.name != 'x'"][number % 3],
    )


def far_rule(number: int) -> Rule:
    """A rule that cannot match: four of ten by a glob over applications, or by the kind."""
    kind = ["ConfigMap", "Deployment"][number % 2]
    application = {"name": f"app-{number}" if number % 5 < 3 else f"team-{number}-*"}
    if number % 5 == 4:
        application, kind = {"name": "shop-web"}, f"Widget{number}"
    return rule_of(
        number, application=application, resources=[{"kind": kind, "name": f"config-{number}*"}]
    )


def rule_of(number: int, **match: object) -> Rule:
    name = f"rule-{number}"
    return Rule.model_validate({"name": name, "match": match, "actions": ACTIONS})


if __name__ == "__main__":
    main()
