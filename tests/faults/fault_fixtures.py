"""What the scenarios start from: a deployment, how long to go on, and where to tell of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import Cluster
from controller import Controller
from deployment import Deployment
from far_cluster import FarCluster
from fault_report import KEY
from one_host import OneHost
from scenario import Deploy, Judge, Lasting
from senders import Load
from service import Target
from standby_cluster import StandbyCluster
from tally import Tally, tally

ENGINES = ("sqlite", "postgresql")
DEPLOYMENTS: dict[str, type[Deployment]] = {
    "sqlite": OneHost,
    "postgresql": Cluster,
    "postgresql, far": FarCluster,
    "postgresql, standby": StandbyCluster,
}


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in this hook as well
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let deployments of one engine come one after the other: two at a time are load enough."""
    for item in items:
        if isinstance(item, pytest.Function) and "deploy" in item.fixturenames:
            engine = str(item.callspec.params["deploy"]).partition(",")[0]
            item.add_marker(pytest.mark.xdist_group(f"faults-{engine}"))


@pytest.fixture(params=ENGINES)
def deploy(request: pytest.FixtureRequest, tmp_path: Path, target: Target) -> Iterator[Deploy]:
    """Deployments over each engine; some scenarios only in the long form."""
    spared = request.node.get_closest_marker("long_form")
    if spared and request.param in spared.args and not request.config.getoption("--minutes"):
        pytest.skip("in the long form only: make faults MINUTES=30")
    made: list[Deployment] = []

    def one(rules: str, *, home: Path | None = None, **settings: str) -> Deployment:
        make, place = DEPLOYMENTS[request.param], home or tmp_path / "home"
        deployment = make(place, tmp_path / "log", target, rules, **settings)
        made.append(deployment)
        return deployment

    yield one
    for deployment in made:
        deployment.destroy()


@pytest.fixture
def lasting(request: pytest.FixtureRequest) -> Lasting:
    """How many seconds a scenario goes on: so many in the short form, such a part of the long."""
    minutes = request.config.getoption("--minutes")

    def seconds(short: float, part: float) -> float:
        return float(minutes * 60 * part) or short

    return seconds


@pytest.fixture
def rate(request: pytest.FixtureRequest) -> float:
    """Notifications a second under which faults come: fewer in the short form.

    It is their work, not the faults, that takes most of such a scenario's time. At 40 kills would
    hardly fall into an attempt (the column ``doubled`` of the report).
    """
    return 200 if request.config.getoption("--minutes") else 80


@pytest.fixture
def judge(request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]) -> Judge:
    """Tells what a scenario came to, in the table that the whole suite ends with."""

    def told(
        deployment: Deployment, *loads: Load | Controller, seconds: float, explained: bool = True
    ) -> Tally:
        found = tally(deployment, loads)
        name = request.node.originalname.removeprefix("test_").replace("_", " ")
        row = {
            "scenario": name, "ledger": deployment.ledger, "faults": len(deployment.faults),
            "seconds": round(seconds), "sent": found.sent, "accepted": found.accepted,
            "run": found.run, "doubled": found.doubled, "lost": len(found.lost),
        }  # fmt: skip
        record_property(KEY, row)
        print(row)  # noqa: T201 pytest shows it with a failure, and with -s
        assert not found.lost, sorted(found.lost)[:10]
        if explained:
            assert not found.unexplained, sorted(found.unexplained)[:10]
        return found

    return told
