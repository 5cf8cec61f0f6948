"""The Jobs of config/examples/rules, from a notification to their pods and what follows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from jobs import CRON, ROLE
from kube import PATIENCE, Kube
from kubelet import Kubelet
from notifications import notification, resource
from service import ROOT, Service, serving, wait_for

from receiver.testkit import Reply, Seen, peer

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

EXAMPLES = ROOT / "config/examples/rules"
SLACK = b'{"ok": true, "channel": "C1", "ts": "1503435956.000247"}'


@contextmanager
def example(kube: Kube, home: Path, name: str, namespace: str) -> Iterator[Any]:
    """Serve an example with the rights that k8s/ ships; gives what Slack was told, too."""
    files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
    kubeconfig = kube.account("postsync", *files, namespace=kube.namespace(namespace))
    (home / "secrets").mkdir()
    (home / "secrets/kubeconfig").write_text(kubeconfig)
    tree = yaml.safe_load((EXAMPLES / name).read_text())
    with peer(lambda _: Reply(200, SLACK)) as slack:
        for rule in tree["rules"]:
            for action in [*rule["actions"], *rule.get("onFailure", ())]:
                if action["uses"] == "kubernetes.job":
                    action["with"]["cluster"] = {"kubeconfig": {"file": "kubeconfig"}}
                    action["with"]["every"] = "1s"
                    if action["with"]["namespace"] == "shop":
                        action["with"]["namespace"] = namespace
                else:
                    action["with"]["api"] = slack.url
        with serving(home, yaml.safe_dump(tree), secret_slack="hush-slack") as service:
            yield service, slack.seen


def synced(service: Service, name: str, namespace: str) -> str:
    """Post a sync that changed this Deployment; its id."""
    body = notification(resource(name, kind="Deployment", group="apps", namespace=namespace))
    status, answer = service.request("POST", "/v1/notifications", body)
    assert status == 202, answer
    return str(answer["sync"])


def names(kube: Kube, namespace: str, prefix: str) -> list[str]:
    jobs = kube.items(f"/apis/batch/v1/namespaces/{namespace}/jobs")
    found = (job["metadata"]["name"] for job in jobs)
    return sorted(name for name in found if name.startswith(prefix))


def started(kube: Kube, namespace: str, prefix: str) -> str:
    """Wait for a Job whose name begins so."""
    wait_for(lambda: bool(names(kube, namespace, prefix)), PATIENCE, f"Job {prefix}")
    return names(kube, namespace, prefix)[0]


def texts(seen: list[Seen]) -> list[str]:
    return [json.loads(one.body)["text"] for one in seen]


def test_both_jobs_end_before_the_message(kube: Kube, node: Kubelet, tmp_path: Path) -> None:
    """Wave 1 waits for wave 0, and its text has the test's output."""
    namespace = "waves"
    with example(kube, tmp_path, "job-smoke-test-and-restore.yaml", namespace) as (service, seen):
        cron = CRON | {"metadata": {"name": "restore-demo-data"}}
        kube.ask("POST", f"/apis/batch/v1/namespaces/{namespace}/cronjobs", cron)
        sync = synced(service, "shop", namespace)
        smoke = started(kube, namespace, "smoke-test-")
        restore = started(kube, namespace, "restore-demo-data-")
        node.end(node.pod(namespace, smoke), log="fine\n")
        assert texts(seen) == []
        node.end(node.pod(namespace, restore))
        (plan,) = service.ended(sync, PATIENCE)["plans"]
        assert plan["state"] == "succeeded"
        assert texts(seen) == ["*shop* answers at 9f1c2ab: `fine`"]
        wait_for(
            lambda: not names(kube, namespace, restore), PATIENCE, "the deletion by its policy"
        )
        assert names(kube, namespace, smoke) == [smoke]
        assert "hush" not in service.log.read_text()


def test_a_failed_job_is_told_and_retried_anew(kube: Kube, node: Kubelet, tmp_path: Path) -> None:
    """The message says why; an operator's retry makes a Job of another name."""
    namespace = "fails"
    with example(kube, tmp_path, "job-database-answers.yaml", namespace) as (service, _):
        sync = synced(service, "mariadb", namespace)
        first = started(kube, namespace, "database-answers-")
        node.end(node.pod(namespace, first), 7, log="Access denied for user 'shop'\n")
        (plan,) = service.ended(sync, PATIENCE)["plans"]
        (run,) = plan["runs"]
        assert run["state"] == "failed"
        assert "exit code 7, Error; its last line: Access denied for user 'shop'" in run["reason"]
        status, told = service.request("POST", f"/v1/runs/{run['id']}/retry", role="operators")
        assert status in {200, 202}, told
        wait_for(
            lambda: bool(set(names(kube, namespace, "database-answers-")) - {first}),
            PATIENCE,
            "another",
        )
        (second,) = names(kube, namespace, "database-answers-")
        node.end(node.pod(namespace, second))
        assert service.ended(sync, PATIENCE)["plans"][0]["state"] == "succeeded"


def test_a_restart_goes_on_waiting(kube: Kube, node: Kubelet, tmp_path: Path) -> None:
    """The Job is in the ledger, not in a thread: it is made once, and its end is seen.

    A secret that the Job tells, here the token of its own making, is masked wherever it shows.
    """
    namespace = "restarts"
    with example(kube, tmp_path, "job-hello-world.yaml", namespace) as (service, _):
        sync = synced(service, "shop", namespace)
        job = started(kube, namespace, "hello-world-")
        service.kill()
        kubeconfig = yaml.safe_load((tmp_path / "secrets/kubeconfig").read_text())
        token = kubeconfig["users"][0]["user"]["token"]
        node.end(node.pod(namespace, job), log=f"{token}\nHello\n")
        service.start()
        (plan,) = service.ended(sync, PATIENCE)["plans"]
        assert plan["runs"][0]["output"]["log"][1:] == ["Hello"]
        assert token not in json.dumps(service.story(sync))
        assert token not in service.log.read_text()
        assert names(kube, namespace, "hello-world-") == [job]


WITHOUT_POD = """
version: 1
rules:
- name: refused
  match: {application: {name: "*"}}
  deadline: 6s
  actions:
  - uses: kubernetes.job
    target: application
    with:
      cluster: {kubeconfig: {file: kubeconfig}}
      namespace: refused
      every: 1s
      manifest:
        spec:
          template: {spec: {serviceAccountName: nobody, containers: [{name: a, image: b}]}}
"""


def test_a_job_without_a_pod_tells_why_and_was_tried_once(kube: Kube, tmp_path: Path) -> None:
    """While it waits and when its deadline has passed; to look at it is no attempt."""
    files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
    account = kube.account("postsync", *files, namespace=kube.namespace("refused"))
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/kubeconfig").write_text(account)
    why = 'FailedCreate: Error creating: pods "postsync-r-'
    pending = f"SELECT 1 FROM runs WHERE state = 'pending' AND reason LIKE '{why}%'"
    with serving(tmp_path, WITHOUT_POD) as service:
        sync = synced(service, "shop", "refused")
        wait_for(lambda: bool(service.query(pending)), PATIENCE, "the reason")
        story = service.ended(sync, PATIENCE)
    (run,) = story["plans"][0]["runs"]
    assert run["reason"].startswith(f"still pending after its deadline of 6 s: {why}")
    assert 'serviceaccount "nobody" not found' in run["reason"]
    assert (run["attempts"], [one["number"] for one in run["tries"]]) == (1, [1])
    told = [event["text"] for event in story["events"] if event["event"] == "action.message"]
    assert [text for text in told if text.startswith(f"its pod does not start: {why}")] == told
