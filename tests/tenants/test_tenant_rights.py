"""`postsync check --cluster` says whether the rules of tenants can be seen, and what lacks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kube import Kube
from overlay import RBAC, granted
from postsyncrules import PostSyncRules, tenants_of

from receiver.cli.check import check
from receiver.rules.tenants.names import GROUP, PLURAL

pytestmark = pytest.mark.xdist_group("kubernetes-services")

NAMESPACES = {"shop": "asked-of-shop", "postsync": "asked-of-postsync"}
SHOP, POSTSYNC = NAMESPACES.values()
JOBS = {"handlers": ["kubernetes.job"]}
SEE = "see docs/tenants.md"

Checked = Callable[..., Result]


@pytest.fixture(scope="module")
def token(kube: Kube) -> Iterator[str]:
    """Postsync's, with the rights of k8s/overlays/tenants."""
    for name in NAMESPACES.values():
        kube.namespace(name)
    PostSyncRules(kube, SHOP).put("one")
    with granted(kube, NAMESPACES) as token:
        yield token


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checked:
    (tmp_path / "rules.yaml").write_text("version: 1\nrules: []\n")
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))

    def run(kubeconfig: str, *words: str, **bounds: object) -> Result:
        setting = tenants_of(tmp_path, kubeconfig, SHOP, **bounds)
        monkeypatch.setenv("POSTSYNC_TENANTS", json.dumps(setting))
        return CliRunner().invoke(check, ["--cluster", str(tmp_path / "rules.yaml"), *words])

    return run


def test_what_the_overlay_grants_suffices_and_the_rules_are_counted(
    kube: Kube, token: str, checked: Checked
) -> None:
    """Those for CronJobs as well."""
    done = checked(kube.kubeconfig(token), **JOBS)
    assert (done.exit_code, "note:" in done.output) == (0, False), done.output
    assert re.search(
        r"^tenants: the API server of tenants: \d+ PostSyncRule", done.output, re.MULTILINE
    )
    told = json.loads(checked(kube.kubeconfig(token), "--output", "json").stdout)["tenants"]
    assert told["rules"] >= 1
    assert (told["problems"], told["missing"]) == ([], [])


def test_a_right_on_rules_that_lacks_is_a_problem(kube: Kube, token: str, checked: Checked) -> None:  # noqa: ARG001 the kind is there
    config = kube.account("sees-nothing", namespace=POSTSYNC)
    done = checked(config)
    assert done.exit_code == 1
    told = f"grant get, list, watch on {PLURAL}.{GROUP} in namespace {SHOP}; {SEE}"
    assert f"tenants: the API server of tenants: {told}" in done.output
    status = f"grant patch on {PLURAL}.{GROUP}/status in namespace {SHOP}; {SEE}"
    assert f"note: tenants: the API server of tenants: {status}\n" in done.output


def test_a_role_in_each_namespace_is_enough_where_they_are_named(
    kube: Kube, token: str, checked: Checked  # noqa: ARG001 the kind is there
) -> None:  # fmt: skip
    """A glob needs the whole cluster; without the rights on CronJobs, only these are not seen."""
    config = kube.account("sees-shop", namespace=POSTSYNC)
    rules = [
        {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [GROUP], "resources": [f"{PLURAL}/status"], "verbs": ["patch"]},
    ]
    place, meta = f"{RBAC}/namespaces/{SHOP}", {"metadata": {"name": "sees-shop"}}
    kube.ask("POST", f"{place}/roles", {**meta, "rules": rules})
    kube.ask("POST", f"{place}/rolebindings", {
        **meta,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "sees-shop"},
        "subjects": [{"kind": "ServiceAccount", "name": "sees-shop", "namespace": POSTSYNC}],
    })  # fmt: skip
    done = checked(config)
    assert (done.exit_code, "note:" in done.output) == (0, False), done.output
    assert "tenants: the API server of tenants: 1 PostSyncRule\n" in done.output
    done = checked(config, **JOBS)
    assert done.exit_code == 0, done.output
    for right in ("get, list, watch on cronjobs.batch", "create on events"):
        line = f"grant {right} in namespace {SHOP}; {SEE}"
        assert f"note: tenants: the API server of tenants: {line}\n" in done.output
    done = checked(config, namespaces=["asked-of-*"])
    assert done.exit_code == 1
    assert f"grant get, list, watch on {PLURAL}.{GROUP}; {SEE}" in done.output
