"""The Helm chart: what it makes of values, and which it refuses."""

from __future__ import annotations

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import chart
import pytest
import yaml
from control_plane import RELEASE
from helm_chart import CHART, Values, helm, refused, render, shown, template
from manifests import ROOT, VERSIONS, Manifest, check_schema, find
from pydantic.alias_generators import to_camel

from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.settings.loading import load_settings
from receiver.settings.model import OURS, Settings

CUSTOM = {"ServiceMonitor", "PrometheusRule", "ExternalSecret"}
SECRETS = "value must be 'the name of a Secret, never what is in it"
PARTS = (
    "rules", "external-secrets", "ingress", "dual-stack", "network", "rights", "settings",
    "tracing",
)  # fmt: skip
ALL: Values = {key: value for name in PARTS for key, value in shown()[name].items()} | {
    "image": {"repository": "registry.example.com/postsync", "digest": f"sha256:{'a1' * 32}"},
    "imagePullSecrets": [{"name": "registry"}],
    "postgresql": {"enabled": True, "workers": 1, "port": 6432},
    "apiServer": {"access": True, "port": 443},
    "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}},
    "pod": {
        "annotations": {"example.com/team": "platform"}, "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "x", "operator": "Exists"}], "priorityClassName": "high",
        "affinity": {"nodeAffinity": {}},
    },
}  # fmt: skip
"""Nearly every value at once."""


@pytest.fixture(scope="module")
def rendered() -> dict[str, list[Manifest]]:
    """What comes of no values, of those that the page shows, and of nearly all."""
    return {
        "none": render({}),
        "all": render(ALL),
        **{name: render(values) for name, values in shown().items()},
    }


def pod_of(manifests: list[Manifest], name: str = "postsync") -> dict[str, Any]:
    return dict(find(manifests, "Deployment", name)["spec"]["template"]["spec"])


def settings_of(
    manifests: list[Manifest], monkeypatch: pytest.MonkeyPatch, name: str = "postsync"
) -> Settings:
    """What the receiver makes of the pod's variables."""
    for variable in pod_of(manifests, name)["containers"][0]["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "postgresql://of-a-secret/"))
    return load_settings()


def test_lint_finds_nothing() -> None:
    """Of the defaults, and of nearly all values."""
    for values in ({}, ALL):
        done = helm("lint", CHART, "--strict", "--kube-version", RELEASE, "--values", "-",
                    given=yaml.safe_dump(dict(values)))  # fmt: skip
        assert done.returncode == 0, done.stdout


def test_the_chart_has_the_version_of_the_package() -> None:
    """Its image's tag is of the same, unless the values say otherwise."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (about["version"], about["appVersion"]) == (project["version"], project["version"])


def test_the_copies_in_the_chart_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Helm reads nothing outside of it: alerts, the kind PostSyncRule, the settings' schema."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", ["chart.py", "--check"])
    assert chart.main() == 0


def test_each_object_fits_the_schema_of_kubernetes(rendered: dict[str, list[Manifest]]) -> None:
    """Of an old and of the newest release; a key that it does not know is a mistake."""
    for manifests in rendered.values():
        for version in VERSIONS:
            for one in manifests:
                if one["kind"] not in CUSTOM:
                    check_schema(one, version)


def test_the_receiver_takes_what_the_chart_makes_of_the_settings(
    rendered: dict[str, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each choice that the page shows."""
    for manifests in rendered.values():
        for one in manifests:
            if one["kind"] == "Deployment":
                with monkeypatch.context() as patch:
                    settings_of(manifests, patch, one["metadata"]["name"])


def test_each_setting_arrives_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """None has another name or another form in a variable."""
    given = yaml.safe_load((ROOT / "config/settings.example.yaml").read_text())
    given = {key: value for key, value in given.items() if value is not None} | {
        "pageUrl": "https://a.example", "trustedProxies": ["10.42.0.0/16"], "maxBody": 123456789,
        "pageLogin": {"userHeader": "X-User", "groupsHeader": "X-Groups", "viewers": ["dev"]},
        "actSince": "2026-06-01T00:00:00Z", "caBundle": "/etc/postsync/certificates/ca.crt",
        "proxy": "http://proxy.example:3128", "noProxy": ["*.a.example", "10.0.0.0/8"],
        "rates": {"cloudflare.purge": {"perSecond": 0.5, "burst": 500}}, "drain": 61.5,
        "allowHosts": ["*.example.com"], "allowAnonymous": True,
    }  # fmt: skip
    own = {to_camel(name) for name in chart.NOT_A_SETTING}
    given = {key: value for key, value in given.items() if key not in own}
    assert sorted(given) == sorted({to_camel(name) for name in Settings.model_fields} - own)
    manifests = render({"settings": given})
    names = {to_camel(name): name for name in Settings.model_fields}
    wanted = load_settings(**{names[key]: value for key, value in given.items()})
    arrived = settings_of(manifests, monkeypatch)
    for key in given:
        assert getattr(arrived, names[key]) == getattr(wanted, names[key]), key
    assert pod_of(manifests)["terminationGracePeriodSeconds"] == 62 + 15


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"typo": 1}, "additional properties 'typo' not allowed"),
        ({"settings": {"maxbody": 1}}, "at '/settings': additional properties 'maxbody'"),
        ({"settings": {"maxBody": 1}}, "at '/settings/maxBody': minimum: got 1, want 1,024"),
        ({"settings": {"home": "/x"}}, "at '/settings': additional properties 'home'"),
        ({"fullnameOverride": "a.b"}, "at '/fullnameOverride': 'a.b' does not match pattern"),
        ({"image": {"repository": "x\ny: z"}}, "at '/image/repository': 'x\\ny: z' does not match"),
        ({"image": {"tag": "a b"}}, "at '/image/tag': 'a b' does not match pattern"),
        ({"postgresql": {"intakes": "3"}}, "at '/postgresql/intakes': got string, want integer"),
        ({"postgresql": {"url": "postgresql://a:hush@b"}}, "name that in postgresql.secret"),
        ({"postgresql": {"password": "hush"}}, "name that in postgresql.secret"),
        ({"tokens": {"senders": {"argocd": "hush"}}}, f"at '/tokens/senders': {SECRETS}"),
        ({"tokens": {"operators": "Hush_hush"}}, f"at '/tokens/operators': {SECRETS}"),
        ({"secrets": {"files": {"cdn": "hush"}}}, f"at '/secrets/files': {SECRETS}"),
        ({"tracing": {"variables": {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=hush"}}},
         "name that in tracing.secret"),
        ({"settings": {"proxy": "http://a:hush@b"}}, "POSTSYNC_PROXY in secrets.variables"),
        ({"argocd": {"connections": {"argocd": {"server": "https://x", "token": "hush"}}}},
         "at '/argocd/connections/argocd/token': value must be 'a secret is never written here"),
        ({"service": {"ipFamilies": ["IPv5"]}}, "at '/service/ipFamilies/0': value must be one of"),
        ({"urlPrefix": "postsync/"}, "at '/urlPrefix': 'postsync/' does not match pattern"),
        *(({"urlPrefix": f"/{path}/x"}, "at '/urlPrefix': value must be 'a path that is none")
          for path in OURS),
        ({"ingress": {"enabled": True}}, "at '/ingress/host': minLength"),
        ({"ingress": {"enabled": True, "host": "a.example"}}, "ingress.from: the NetworkPolicy"),
        ({"rules": {"files": {"shop": "x"}}}, "at '/rules/files': additional properties 'shop'"),
        ({"externalSecrets": {"secrets": {"files": {"dataFrom": [{"extract": {"key": "x"}}]}}}},
         "externalSecrets.store.name: name the SecretStore"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_with_its_path_and_no_secret(values: Values, message: str) -> None:
    """And the way out, where somebody would write a secret; it is not repeated on the screen."""
    said = refused(values)
    assert message in said
    assert "hush" not in said.lower()


def test_each_value_is_described_and_has_a_default() -> None:
    """In the schema, by which editors help; the chart's values have all of it, and nothing else."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    untold: list[str] = []

    def walk(part: dict[str, Any], path: str) -> None:
        if "$ref" in part:
            part = schema["$defs"][part["$ref"].rpartition("/")[2]]
        if "description" not in part:
            untold.append(path)
        for key, below in part.get("properties", {}).items():
            walk(below, f"{path}/{key}")

    for key, part in schema["properties"].items():
        walk(part, f"/{key}")
    assert untold == []
    assert schema["properties"].keys() - {"global"} == defaults.keys()


def test_the_rules_are_those_that_the_values_have(
    rendered: dict[str, list[Manifest]], tmp_path: Path
) -> None:
    """Right ones, in folders that are read: the chart's own, and one for each ConfigMap."""
    for name in ("none", "rules"):
        data = find(rendered[name], "ConfigMap")["data"]
        (tmp_path / name).mkdir()
        for file, text in data.items():
            (tmp_path / name / file).write_text(text)
        assert load_rules([tmp_path / name], Registry.discover(), Expressions()).rules
    assert find(rendered["rules"], "ConfigMap")["data"] == shown()["rules"]["rules"]["files"]
    container = pod_of(rendered["rules"])["containers"][0]
    mounts = {one["mountPath"] for one in container["volumeMounts"]}
    [folders] = [one["value"] for one in container["env"] if one["name"] == "POSTSYNC_RULES"]
    assert folders == "/etc/postsync/rules,/etc/postsync/configmaps/more-rules"
    assert set(folders.split(",")) <= mounts
    alone = render({"rules": {"configMaps": ["mine"]}})
    assert "ConfigMap" not in {one["kind"] for one in alone}


def test_an_external_secret_makes_the_secret_that_the_pod_mounts(
    rendered: dict[str, list[Manifest]],
) -> None:
    """Under its name, of what the values say and nothing else."""
    manifests = rendered["external-secrets"]
    mounted = {
        one["secret"]["secretName"] for one in pod_of(manifests)["volumes"] if "secret" in one
    }
    made = {one["metadata"]["name"]: one for one in manifests if one["kind"] == "ExternalSecret"}
    assert made.keys() == {"postsync-senders", "postsync-secrets"}
    assert made.keys() <= mounted
    for name, one in made.items():
        assert one["spec"]["target"] == {"name": name}
        assert one["spec"]["secretStoreRef"] == {"name": "vault", "kind": "ClusterSecretStore"}
    assert made["postsync-senders"]["spec"]["data"][0]["secretKey"] == "argocd"
    assert "Secret" not in {one["kind"] for manifests in rendered.values() for one in manifests}


def test_below_a_prefix_ingress_page_and_server_agree(
    rendered: dict[str, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One value says it to all three; and the controller is let in."""
    manifests = rendered["ingress"]
    [rule] = find(manifests, "Ingress")["spec"]["rules"]
    paths = {one["path"]: one["pathType"] for one in rule["http"]["paths"]}
    backends = [one["backend"]["service"] for one in rule["http"]["paths"]]
    service = find(manifests, "Service")
    assert (rule["host"], paths) == ("ops.example.com", {
        "/postsync": "Exact", "/postsync/": "Exact", "/postsync/page": "Prefix",
        "/postsync/v1": "Prefix",
    })  # fmt: skip
    door = {
        "name": service["metadata"]["name"], "port": {"name": service["spec"]["ports"][0]["name"]}
    }  # fmt: skip
    assert backends == [door] * 4
    settings = settings_of(manifests, monkeypatch)
    assert (settings.url_prefix, settings.page_url) == (
        "/postsync", "https://ops.example.com/postsync"
    )  # fmt: skip
    [door] = find(manifests, "NetworkPolicy")["spec"]["ingress"]
    assert shown()["ingress"]["ingress"]["from"][0] in door["from"]


@pytest.mark.parametrize(
    ("name", "host", "service"),
    [
        ("none", "0.0.0.0", {}),  # noqa: S104 what the image says
        ("ipv6", "::", {"ipFamilies": ["IPv6"]}),
        ("dual-stack", "::", shown()["dual-stack"]["service"]),
    ],
)  # fmt: skip
def test_service_and_server_have_the_same_families(
    rendered: dict[str, list[Manifest]], name: str, host: str, service: Values
) -> None:
    """`[::]` takes IPv4 as well where there is some; without a word both are as before."""
    spec = find(rendered[name], "Service")["spec"]
    assert {key: spec[key] for key in ("ipFamilies", "ipFamilyPolicy") if key in spec} == service
    variables = {
        one["name"]: one.get("value") for one in pod_of(rendered[name])["containers"][0]["env"]
    }
    image = str(re.findall(r"POSTSYNC_HOST=(\S+)", (ROOT / "Dockerfile").read_text())[0])
    assert variables.get("POSTSYNC_HOST", image) == host


def test_spans_of_all_pods_find_their_collector(
    rendered: dict[str, list[Manifest]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those that take notifications, which call nobody else."""
    manifests = rendered["all"]
    for name in ("postsync", "postsync-worker"):
        with monkeypatch.context() as patch:
            assert settings_of(manifests, patch, name).tracing
        [container] = pod_of(manifests, name)["containers"]
        assert {"secretRef": {"name": "postsync-otel"}} in container["envFrom"]
        variables = {one["name"]: one.get("value") for one in container["env"]}
        assert shown()["tracing"]["tracing"]["variables"].items() <= variables.items()
    policy = find(manifests, "NetworkPolicy", "postsync-tracing")["spec"]
    assert "app.kubernetes.io/component" not in policy["podSelector"]["matchLabels"]
    assert policy["egress"] == shown()["tracing"]["tracing"]["to"]


def test_only_several_replicas_hold_a_drain_back(rendered: dict[str, list[Manifest]]) -> None:
    """One at a time of each kind; a single one would else stop the drain for ever."""

    def budgets(name: str) -> list[str]:
        budgets = [one for one in rendered[name] if one["kind"] == "PodDisruptionBudget"]
        return [one["metadata"]["name"] for one in budgets]

    assert budgets("none") == []
    assert budgets("several") == ["postsync", "postsync-worker"]
    assert budgets("all") == ["postsync"]  # one worker


def test_neither_helm_nor_argo_cd_deletes_what_was_accepted(
    rendered: dict[str, list[Manifest]],
) -> None:
    """Nor the kind PostSyncRule, by which all rules of teams would go."""
    kept = {
        "helm.sh/resource-policy": "keep",
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
    }
    assert find(rendered["none"], "PersistentVolumeClaim")["metadata"]["annotations"] == kept
    definition = find(rendered["rights"], "CustomResourceDefinition")
    assert definition["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    given = render({"persistence": {"existingClaim": "ours"}})
    assert "PersistentVolumeClaim" not in {one["kind"] for one in given}
    assert pod_of(given)["volumes"][0]["persistentVolumeClaim"] == {"claimName": "ours"}


def test_the_alerts_are_those_of_the_product(rendered: dict[str, list[Manifest]]) -> None:
    """With the reader's own address of the runbooks."""
    rule = find(rendered["network"], "PrometheusRule")
    runbooks = shown()["network"]["prometheusRule"]["runbooks"]
    text = (ROOT / "config/prometheus/alerts.yaml").read_text()
    assert rule["spec"] == yaml.safe_load(text.replace("runbook_url: ", f"runbook_url: {runbooks}"))
    for name in ("ServiceMonitor", "PrometheusRule"):
        assert find(rendered["network"], name)["metadata"]["labels"]["release"] == "prometheus"


def test_prometheus_finds_each_service(rendered: dict[str, list[Manifest]]) -> None:
    """By the labels of the Service itself, and the name of its port; under one name of the job."""
    for name in ("network", "all"):
        monitor = find(rendered[name], "ServiceMonitor")["spec"]
        for service in (one for one in rendered[name] if one["kind"] == "Service"):
            labels = service["metadata"]["labels"]
            assert monitor["selector"]["matchLabels"].items() <= labels.items()
            assert labels[monitor["jobLabel"]] == "postsync"
            assert monitor["endpoints"][0]["port"] == service["spec"]["ports"][0]["name"]


def test_the_token_of_the_account_is_there_only_where_it_is_needed(
    rendered: dict[str, list[Manifest]],
) -> None:
    """Not in the pods that can be reached, and nowhere without a right."""
    tokens = {
        name: [
            one["spec"]["template"]["spec"]["automountServiceAccountToken"]
            for one in rendered[name]
            if one["kind"] == "Deployment"
        ]
        for name in ("none", "several", "rights", "all")
    }
    assert tokens == {
        "none": [False], "several": [False, False], "rights": [True], "all": [False, True],
    }  # fmt: skip


@pytest.mark.parametrize("name", ["team.postsync", "2postsync", "7"])
def test_a_release_whose_name_is_none_of_a_service_is_refused_before_anything_is_made(
    name: str,
) -> None:
    done = template({}, release=name)
    assert done.returncode == 1
    assert "fullnameOverride: no Service may be called" in done.stderr
    assert template({"fullnameOverride": "postsync"}, release=name).returncode == 0


def test_a_name_that_yaml_reads_as_a_number_or_a_truth_stays_a_name() -> None:
    """Namespaces are called by customers' numbers; Kubernetes takes texts alone."""
    values = {
        "tenants": {"bounds": [{"namespaces": ["7"], "handlers": ["http.request"]}],
                    "grants": {"7": {"secrets": ["13"]}}},
        "jobs": {"namespaces": ["on"]}, "argocd": {"namespace": "12"}, "certificates": "0x10",
        "rules": {"configMaps": ["8"]}, "tokens": {"senders": "9"},
        "persistence": {"existingClaim": "11"},
    }  # fmt: skip
    manifests = [one for one in render(values) if one["kind"] not in CUSTOM]
    for one in manifests:
        check_schema(one)
    roles = {one["metadata"]["namespace"] for one in manifests if one["kind"] == "Role"}
    assert roles == {"7", "on"}
    made = template({}, release="true")
    (claim,) = (
        one for one in yaml.safe_load_all(made.stdout) if one["kind"] == "PersistentVolumeClaim"
    )
    assert claim["metadata"]["labels"]["app.kubernetes.io/instance"] == "true"


def test_two_releases_of_a_namespace_have_nothing_in_common() -> None:
    """No name, and no selector that means the other's pods."""
    first, second = render({}), render({"fullnameOverride": "other"})
    names = [{(one["kind"], one["metadata"]["name"]) for one in made} for made in (first, second)]
    assert not names[0] & names[1]
    assert {name for _, name in names[1]} == {"other", "other-rules"}
    other = pod_of(second, "other")
    secrets = [one["secret"]["secretName"] for one in other["volumes"] if "secret" in one]
    assert all(name.startswith("other-") for name in secrets)
