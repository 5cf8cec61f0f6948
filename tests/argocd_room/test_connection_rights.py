"""What docs/argocd-connection.md says of the rights by an API server, and `check --cluster`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from applications import Applications
from argocd_server import TOKEN, ArgoCd
from click.testing import CliRunner, Result
from connected import by_kubernetes, config_maps, deadline
from kube import Kube
from service import ROOT

from receiver.argocd.connection import ConnectionFailed
from receiver.argocd.kubernetes_api import KubernetesApi
from receiver.argocd.objects import ApplicationState, LiveObject, ObjectRef, Unreadable
from receiver.cli.check import check
from receiver.outbound import Outbound

pytestmark = [pytest.mark.xdist_group("kubernetes"), pytest.mark.usefixtures("apps")]

COMPONENT = ROOT / "k8s/components/argocd-connection"
PAGE = (ROOT / "docs/argocd-connection.md").read_text()
ROWS = re.findall(r"^\| `(\w+)` \| (`applications\S+`|a kind of your rules) \|", PAGE, re.MULTILINE)
NAMESPACE = "rights-argocd"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def apps(kube: Kube) -> Applications:
    """Applications in a namespace that stands for the component's."""
    made = Applications(kube, kube.namespace(NAMESPACE))
    shop = kube.namespace("rights-shop")
    made.put("shop", resources=config_maps(kube, shop, [f"right-{one}" for one in range(4)]))
    return made


@pytest.fixture
def account(kube: Kube) -> Iterator[Callable[..., str]]:
    """Make a service account with the component's rights, some of them left out."""
    made: list[str] = []

    def make(name: str, **without: str) -> str:
        config = kube.account(name, namespace="rights-shop")
        for file in ("applications.yaml", "live-objects.yaml"):
            role, binding = yaml.safe_load_all((COMPONENT / file).read_text())
            for rule in role["rules"]:
                verb = without.get("".join(rule["apiGroups"]).replace(".", "_") or "core")
                rule["verbs"] = [one for one in rule["verbs"] if one != verb]
            binding["roleRef"]["name"] = name
            binding["subjects"] = [
                {"kind": "ServiceAccount", "name": name, "namespace": "rights-shop"}
            ]
            for tree in (role, binding):
                tree["metadata"]["name"] = name
                where = RBAC
                if tree["metadata"].pop("namespace", None):
                    where = f"{RBAC}/namespaces/{NAMESPACE}"
                path = f"{where}/{tree['kind'].lower()}s"
                kube.ask("POST", path, tree)
                made.append(f"{path}/{name}")
        return config

    yield make
    for path in made:
        kube.remove(path)


def _state(api: KubernetesApi) -> ApplicationState:
    state = api.application(NAMESPACE, "shop", deadline())
    assert isinstance(state, ApplicationState), state
    return state


def test_the_rights_of_the_component_suffice_and_each_is_used(
    kube: Kube, outbound: Outbound, account: Callable[..., str]
) -> None:
    """The page, the manifests and what is asked say the same."""
    api = by_kubernetes(kube, outbound, NAMESPACE, kubeconfig=account("all"))
    assert "shop" in {one.name for one in api.applications(deadline())}
    assert next(iter(api.watch(deadline(5)))).namespace == NAMESPACE
    list(api.watch(deadline(2)))
    state = _state(api)
    refs = [one.ref for one in state.resources]
    for some in (refs, refs[:1]):
        found = api.live(state, some, deadline=deadline())
        assert all(isinstance(one, LiveObject) for one in found.values())
    used = {
        (
            "`applications.argoproj.io`" if resource == "applications" else "a kind of your rules",
            verb,
        )
        for resource, verb in kube.used("rights-shop", "all")
    }
    assert used == {(what, verb) for verb, what in ROWS}


@pytest.mark.parametrize(
    ("verb", "use"),
    [
        ("get", lambda api: api.application(NAMESPACE, "shop", deadline()).reason),
        ("list", lambda api: _failure(lambda: api.applications(deadline()))),
        ("watch", lambda api: _failure(lambda: list(api.watch(deadline(30))))),
    ],
)
def test_each_right_on_applications_that_lacks_is_named(
    kube: Kube, outbound: Outbound, account: Callable[..., str], verb: str,
    use: Callable[[KubernetesApi], str],
) -> None:  # fmt: skip
    """By whatever needs it."""
    config = account(f"no-{verb}", argoproj_io=verb)
    told = use(by_kubernetes(kube, outbound, NAMESPACE, kubeconfig=config))
    assert (
        f"the right to {verb} on applications.argoproj.io in namespace rights-argocd is missing; "
        "see docs/argocd-connection.md"
    ) in told


def _failure(act: Callable[[], Any]) -> str:
    with pytest.raises(ConnectionFailed) as caught:
        act()
    return str(caught.value)


@pytest.mark.parametrize(("verb", "number"), [("get", 1), ("list", 4)])
def test_each_right_on_objects_that_lacks_is_named(
    kube: Kube, outbound: Outbound, account: Callable[..., str], verb: str,
    number: int,
) -> None:  # fmt: skip
    """For each object; what may be read is read all the same."""
    config = account(f"blind-{verb}", core=verb)
    api = by_kubernetes(kube, outbound, NAMESPACE, kubeconfig=config)
    state = _state(api)
    other = ObjectRef("apps", "v1", "Deployment", "rights-shop", "nobody")
    refs = [one.ref for one in state.resources][:number]
    found = api.live(state, [*refs, other], deadline=deadline())
    missing = Unreadable(
        f"the right to {verb} on configmaps in namespace rights-shop is missing; "
        "see docs/argocd-connection.md"
    )
    assert found == {
        **dict.fromkeys(refs, missing), other: Unreadable("it is not there any more", gone=True),
    }  # fmt: skip


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `check --cluster` with connections, over no rules that ask a cluster."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "version: 1\nrules:\n- name: it\n  match: {application: {name: [shop]}}\n"
        "  actions:\n  - uses: log.message\n    with: {text: synced}\n"
    )
    (tmp_path / "secrets").mkdir()
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path))

    def run(secrets: dict[str, str], *words: str, **connections: Any) -> Result:
        for name, secret in secrets.items():
            (tmp_path / "secrets" / name).write_text(secret)
        monkeypatch.setenv("POSTSYNC_ARGOCD", json.dumps(connections))
        return CliRunner().invoke(check, ["--cluster", str(rules), *words])

    return run


BY_API_SERVER = {"kubernetes": {"kubeconfig": {"file": "config"}, "namespaces": [NAMESPACE]}}


def test_check_says_that_both_ways_work(
    argocd: ArgoCd, checked: Callable[..., Result], account: Callable[..., str]
) -> None:
    """And how many Applications each shows."""
    server = {"server": argocd.url, "token": {"file": "token"}}
    secrets = {"config": account("checks"), "token": TOKEN}
    done = checked(secrets, prod=BY_API_SERVER | server)
    assert done.exit_code == 0, done.output
    assert "argocd.prod: the API server of config: 1 Application\n" in done.output
    assert re.search(rf"argocd.prod: Argo CD's API {argocd.url}: \d+ Applications?\n", done.output)
    assert "note:" not in done.output
    told = json.loads(checked(secrets, "--output", "json", prod=BY_API_SERVER | server).output)
    assert [one["missing"] for one in told["connections"]["prod"]] == [[], []]


def test_check_names_the_rights_that_lack(
    checked: Callable[..., Result], account: Callable[..., str]
) -> None:
    """On objects as a note, on Applications as a problem."""
    done = checked({"config": account("no-objects", core="list")}, prod=BY_API_SERVER)
    assert done.exit_code == 0, done.output
    assert (
        "note: argocd.prod: the API server of config: "
        "grant list on configmaps in namespace rights-shop; see docs/argocd-connection.md\n"
    ) in done.output
    done = checked({"config": account("no-apps", argoproj_io="watch")}, prod=BY_API_SERVER)
    assert done.exit_code == 1
    assert (
        "argocd.prod: the API server of config: "
        "grant watch on applications.argoproj.io in namespace rights-argocd; "
        "see docs/argocd-connection.md"
    ) in done.output


def test_check_says_why_a_connection_does_not_work(
    argocd: ArgoCd, checked: Callable[..., Result]
) -> None:
    """And never shows the token."""
    server = {"server": argocd.url, "token": {"file": "token"}}
    done = checked({"token": "hush-hush-token"}, prod=server)
    assert done.exit_code == 1
    assert "was answered 401: invalid session" in done.output
    assert "hush" not in done.output
    argocd.projects = set()
    done = checked({"token": TOKEN}, prod=server)
    assert (done.exit_code, "it shows no Application" in done.output) == (0, True)


def test_every_word_of_the_page_about_numbers_is_so() -> None:
    """The code has them once."""
    from receiver.argocd import argocd_live, kubernetes_live, pace, probe, server

    assert f"up to {argocd_live.FEW} objects" in PAGE
    assert argocd_live.FEW == kubernetes_live.FEW
    assert f"up to\n{argocd_live.MANY} objects one by one" in PAGE
    assert f"more than {server.LARGEST >> 20} MiB" in PAGE
    assert f"at most {pace.PER_SECOND:g} times a second, {pace.BURST} times at once" in PAGE
    assert f"may take {server.SECONDS_EACH:g} s" in PAGE
    assert f"first {probe.LOOKED_AT} Applications" in PAGE
