"""`postsync check --cluster` against a real API server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result
from jobs import CRON, ROLE
from kube import Kube
from made import serve

from receiver.cli.check import check

pytestmark = pytest.mark.xdist_group("kubernetes")

Check = Callable[..., Result]
MERGE = "application/merge-patch+json"
HEAD = """\
version: 1
rules:
- name: it
  match:
    resources:
    - {kind: Deployment, namespace: NAMESPACE}
  actions:
  - uses: kubernetes.job
    with:
"""
JOB = """\
      namespace: checked
      manifest:
        spec:
          template:
            spec:
              containers:
              - name: main
                image: busybox
"""


@pytest.fixture(scope="module")
def namespace(kube: Kube) -> str:
    return kube.namespace("checked")


@pytest.fixture
def asked(
    kube: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Check]:
    """Check an action's `with`, as somebody whose kubectl means the test's cluster."""
    (tmp_path / "config").write_text(kube.kubeconfig(namespace=namespace))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    monkeypatch.setenv("POSTSYNC_HOME", str(tmp_path / "home"))
    file = tmp_path / "rules.yaml"

    def run(
        given: str, *options: str, uses: str = "kubernetes.job", namespace: str = "*"
    ) -> Result:
        head = HEAD.replace("kubernetes.job", uses).replace("NAMESPACE", f'"{namespace}"')
        file.write_text(head + given)
        monkeypatch.chdir(tmp_path)
        return CliRunner().invoke(check, ["--cluster", *options, "rules.yaml"])

    yield run
    jobs = kube.items(f"/apis/batch/v1/namespaces/{namespace}/jobs")
    assert jobs == []  # nothing was made


def test_a_good_manifest_is_tried_and_nothing_is_made(asked: Check) -> None:
    """The number of dry runs is told."""
    answer = asked(JOB)
    assert (answer.exit_code, answer.stderr) == (0, "")
    assert answer.stdout.endswith(", 1 dry run\n")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "          template:\n",
            "          backofLimit: 1\n          template:\n",
            (
                "rules.yaml:13:11: rules[0].actions[0].with.manifest.spec.backofLimit: "
                "Kubernetes has no such field"
            ),
        ),
        (
            "name: main",
            "name: Main_",
            (
                "rules.yaml:16:17: rules[0].actions[0].with.manifest.spec.template.spec."
                'containers[0].name: Invalid value: "Main_": a lowercase RFC 1123 label'
            ),
        ),
        (
            "namespace: checked",
            "namespace: nowhere",
            (
                "rules.yaml:10:7: rules[0].actions[0].with.namespace: POST /apis/batch/v1/"
                'namespaces/nowhere/jobs was answered 404: namespaces "nowhere" not found (the'
            ),
        ),
        (
            "        spec:\n          template",
            "        kind: CronJob\n        spec:\n          template",
            "rules.yaml:11:7: rules[0].actions[0].with.manifest: the manifest is a CronJob of",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(asked: Check, old: str, new: str, told: str) -> None:
    """By file, line and path, as every other mistake in a rule."""
    answer = asked(JOB.replace(old, new))
    assert answer.exit_code == 1
    assert answer.stderr.startswith(told)


def test_expressions_stand_as_something_plausible(asked: Check) -> None:
    """Texts, numbers and lists; what they leave open is no mistake."""
    given = JOB.replace(
        "image: busybox",
        'image: "${{ resource.images[0] }}"\n'
        '                args: "${{ resource.images }}"\n'
        '                env: [{name: COUNT, value: "${{ size(resource.images) }} images"}]',
    )
    number = '          backoffLimit: "${{ 1 + 1 }}"\n          template'
    answer = asked(given.replace("          template", number))
    assert (answer.exit_code, answer.stderr) == (0, "")


LATER = JOB.replace("checked", '"${{ resource.namespace }}"')


def test_a_namespace_that_is_known_at_run_time_is_not_guessed(asked: Check, kube: Kube) -> None:
    """Another's quotas and admission say nothing of it: what was not tried is told."""
    quotas = "/api/v1/namespaces/checked/resourcequotas"
    none = {"hard": {"count/jobs.batch": "0"}}
    kube.ask("POST", quotas, {"metadata": {"name": "none"}, "spec": none})
    try:
        status = none | {"used": none["hard"]}
        kube.ask("PATCH", f"{quotas}/none/status", {"status": status}, MERGE)
        assert "exceeded quota" in asked(JOB).stderr
        answer = asked(LATER)
    finally:
        kube.ask("DELETE", f"{quotas}/none")
    assert answer.exit_code == 0, answer.output
    assert answer.stderr.startswith(
        "note: rules.yaml:10:7: rules[0].actions[0].with.namespace: not tried in a namespace, for "
        "it is known only at run time"
    )


def test_a_wrong_field_is_told_without_a_namespace(asked: Check) -> None:
    """The API server looks at the fields first."""
    typo = "          backofLimit: 1\n          template:"
    answer = asked(LATER.replace("          template:", typo))
    assert answer.exit_code == 1
    assert "manifest.spec.backofLimit: Kubernetes has no such field" in answer.stderr


def test_the_namespace_of_all_selectors_is_known(asked: Check) -> None:
    """The resource of a run is in it: there it is tried."""
    answer = asked(LATER.replace("busybox", '""'), namespace="checked")
    assert answer.exit_code == 1
    assert "containers[0].image: Required value" in answer.stderr
    assert asked(LATER, namespace="checked").stderr == ""
    assert "not tried in a namespace" in asked(LATER, namespace="check*").stderr


@pytest.mark.parametrize("value", ["sync.options[0]", "application.labels['limit']"])
def test_a_refusal_of_a_placeholder_is_a_note(asked: Check, value: str) -> None:
    """It may be right at run time."""
    limit = f'          backoffLimit: "${{{{ {value} }}}}"\n          template'
    answer = asked(JOB.replace("          template", limit))
    assert answer.exit_code == 0, answer.output
    assert "an expression stands in the way" in answer.stderr


def test_what_a_job_is_made_of_is_looked_up(asked: Check, kube: Kube) -> None:
    """It must be there, and give a Job that the cluster takes."""
    given = "      namespace: checked\n      from: {cronJob: restore}\n"
    missing = asked(given)
    assert missing.exit_code == 1
    assert "with.from: there is no cronjobs checked/restore" in missing.stderr
    kube.ask("POST", "/apis/batch/v1/namespaces/checked/cronjobs", CRON)
    assert asked(given).exit_code == 0


def test_a_missing_right_is_named(asked: Check, kube: Kube, tmp_path: Path) -> None:
    """Whoever asks needs the rights that the rule needs."""
    (tmp_path / "config").write_text(kube.account("nobody", namespace="checked"))
    answer = asked(JOB)
    assert answer.exit_code == 1
    assert "grant the verb create on jobs.batch in namespace checked" in answer.stderr


def test_a_right_without_which_less_is_told_is_noted(
    asked: Check, kube: Kube, tmp_path: Path
) -> None:
    """Its Jobs run without it; the right to look how they end is another matter."""
    files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
    (tmp_path / "config").write_text(kube.account("follower", *files, namespace="checked"))
    assert asked(JOB).stderr == ""
    role = yaml.safe_load(files[0].read_text())
    path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/checked/roles/{role['metadata']['name']}"
    role["rules"] = [one for one in role["rules"] if one["resources"] != ["events"]]
    kube.ask("PUT", path, role)
    noted = asked(JOB)
    assert noted.exit_code == 0
    assert "the right to list events in namespace checked is missing: why no pod" in noted.stderr
    role["rules"][0]["verbs"].remove("watch")
    kube.ask("PUT", path, role)
    noted = asked(JOB)
    assert noted.exit_code == 0
    assert "the right to watch jobs.batch in namespace checked is missing: each" in noted.stderr
    role["rules"][0]["verbs"] = ["create"]
    kube.ask("PUT", path, role)
    missing = asked(JOB)
    assert missing.exit_code == 1
    assert "the right to get jobs.batch in namespace checked is missing" in missing.stderr


def test_a_kubeconfig_that_is_not_here_is_noted(asked: Check) -> None:
    """The secret of a server need not be where rules are checked."""
    answer = asked(JOB + "      cluster: {kubeconfig: {file: eu.kubeconfig}}\n")
    assert answer.exit_code == 0
    assert "with: not tried: secret {file: eu.kubeconfig} cannot be read" in answer.stderr


def test_as_json(asked: Check) -> None:
    """Notes and problems, for other programs."""
    noted = json.loads(
        asked(JOB.replace("checked", "${{ resource.name }}"), "--output=json").stdout
    )
    assert (noted["dryRuns"], noted["notes"][0]["line"]) == (1, 10)
    bad = JOB.replace("busybox", '""')
    (problem,) = json.loads(asked(bad, "--output=json").stdout)["problems"]
    assert problem["path"].endswith("containers[0].image")
    assert asked(bad).stdout.startswith("1 rule in 1 file, digest ")


def test_without_a_cluster_the_way_out_is_told(
    asked: Check, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nothing was checked, so it is no success."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    answer = asked(JOB)
    assert answer.exit_code == 1
    assert "there is no cluster to ask" in answer.stderr


FLOWS = {
    "tekton.pipelinerun": ("pipelineruns.tekton.dev", "{namespace: checked, pipeline: p}"),
    "argo.workflow": ("workflows.argoproj.io", "{namespace: checked, template: t}"),
}


@pytest.mark.parametrize("uses", FLOWS)
def test_workflows_are_tried_where_they_are_served(asked: Check, kube: Kube, uses: str) -> None:
    """In a namespace that is there, by a cluster that has their kind."""
    crd, given = FLOWS[uses]
    serve(kube, crd)
    assert asked(f"      {given}\n", uses=uses).exit_code == 0
    nowhere = asked(f"      {given.replace('checked', 'nowhere')}\n", uses=uses)
    assert nowhere.exit_code == 1
    assert "with.namespace: POST" in nowhere.stderr


def test_a_manifest_of_another_kind_is_told_where_it_stands(asked: Check) -> None:
    """Before anything is sent."""
    given = "      {namespace: checked, manifest: {kind: TaskRun, spec: {}}}\n"
    answer = asked(given, uses="tekton.pipelinerun")
    assert answer.stderr.startswith("rules.yaml:10:28: rules[0].actions[0].with.manifest: the mani")


def test_what_argos_own_server_takes_is_not_tried(asked: Check) -> None:
    """It has no dry run."""
    given = "      {namespace: checked, template: t, server: 'https://argo.example.com'}\n"
    assert asked(given, uses="argo.workflow").exit_code == 0


def test_a_kind_that_is_not_served_is_told(asked: Check) -> None:
    """At the action: nothing in it is wrong, the cluster lacks something."""
    mouse = "{apiVersion: example.com/v1, kind: Mouse, namespace: checked, name: m}"
    answer = asked(f"      object: {mouse}\n", uses="kubernetes.event")
    assert answer.exit_code == 1
    assert "with.object.kind: this cluster does not serve example.com/v1" in answer.stderr
