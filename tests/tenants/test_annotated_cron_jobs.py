"""CronJobs of a real API server run, by their annotations, once for each sync that says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jobs import CRON, ROLE
from kube import Json, Kube
from kubelet import Kubelet
from notifications import resource
from postsyncrules import PostSyncRules, is_ready, known, serving, tell, tenants_of
from service import ROOT, Service, wait_for
from test_rule_status import RBAC, READ, WRITE, granted

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kubernetes-services")]

PATIENCE = 60
OWN_ROLE = ROOT / "k8s/overlays/tenants/cron-jobs"
FOLLOWS = {"postsync.dev/after": "ConfigMap/renovate-config"}
JOBS = ("log.message", "kubernetes.job")


class CronJobs:
    """Those of one namespace, and what became of them."""

    def __init__(self, kube: Kube) -> None:
        self.rules = PostSyncRules(kube, kube.namespace(f"crons-{time.monotonic_ns()}"))
        self.kube, self.namespace = kube, self.rules.namespace
        self.path = f"/apis/batch/v1/namespaces/{self.namespace}"

    def account(self) -> str:
        """Postsync's own, with the Roles that we ship and no other right; its kubeconfig."""
        files = (ROLE / "role.yaml", ROLE / "role-binding.yaml")
        own = (OWN_ROLE / "role.yaml", OWN_ROLE / "role-binding.yaml")
        config = self.kube.account("postsync", *files, *own, namespace=self.namespace)
        where, meta = f"{RBAC}/namespaces/{self.namespace}", {"metadata": {"name": "rules"}}
        self.kube.ask("POST", f"{where}/roles", {**meta, "rules": [READ, WRITE]})
        binding = self.kube.find(f"{where}/rolebindings/postsync-cron-jobs") or {}
        reference = {**binding["roleRef"], "name": "rules"}
        body = {**meta, "roleRef": reference, "subjects": binding["subjects"]}
        self.kube.ask("POST", f"{where}/rolebindings", body)
        return config

    def put(self, name: str, annotations: Json | None = None, **spec: Any) -> Json:
        metadata = {"name": name, "annotations": FOLLOWS if annotations is None else annotations}
        made: Json = self.kube.ask(
            "POST", f"{self.path}/cronjobs", {"metadata": metadata, "spec": CRON["spec"] | spec}
        )
        return made

    def annotate(self, name: str, **annotations: str | None) -> None:
        changed = {f"postsync.dev/{key}": word for key, word in annotations.items()}
        self.kube.merge(f"{self.path}/cronjobs/{name}", {"metadata": {"annotations": changed}})

    def jobs(self) -> list[Json]:
        return self.kube.items(f"{self.path}/jobs")

    def only_new_job(self, service: Service, before: set[str]) -> str:
        """Tell of a sync; the name of its Job, once none of those before is there any more."""
        tell(service, self.namespace, self.config_map())

        def names() -> set[str]:
            return {job["metadata"]["name"] for job in self.jobs()}

        def alone() -> bool:
            found = names()
            return bool(found) and not found & before

        wait_for(alone, PATIENCE, "the Job alone")
        (name,) = names()
        return name

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of what Postsync has written on a CronJob."""
        found = self.kube.ask(
            "GET", f"/api/v1/namespaces/{self.namespace}/events"
            f"?fieldSelector=involvedObject.name={name},involvedObject.kind=CronJob"
        )["items"]  # fmt: skip
        return [
            (one["type"], one["reason"], one["message"])
            for one in sorted(found, key=lambda one: str(one["metadata"]["creationTimestamp"]))
            if one["source"] == {"component": "postsync"}
        ]

    @contextmanager
    def serving(self, home: Path, config: str = "", **bounds: Any) -> Iterator[Service]:
        granted = {"handlers": list(JOBS)} | bounds
        setting = tenants_of(home, config or self.account(), self.namespace, **granted)
        with serving(home, setting) as service:
            yield service

    def ready(self, service: Service, name: str) -> None:
        rule = f"{self.namespace}/cronjob.{name}"
        wait_for(lambda: is_ready(service, rule), PATIENCE, f"the rule {rule}")

    def entry(self, name: str) -> Json:
        """A CronJob as a sync lists it."""
        where = {"group": "batch", "version": "v1", "kind": "CronJob"}
        return resource(name, namespace=self.namespace, **where)

    def config_map(self, message: str = "") -> Json:
        return resource("renovate-config", message, namespace=self.namespace)


@pytest.fixture
def crons(kube: Kube) -> CronJobs:
    return CronJobs(kube)


def test_a_sync_that_changed_what_it_follows_runs_it_once(
    tmp_path: Path, crons: CronJobs, node: Kubelet
) -> None:
    """As `kubectl create job --from` does, with the trail of a rule; an unchanged one runs none."""
    cron = crons.put("renovate")
    with crons.serving(tmp_path) as service:
        crons.ready(service, "renovate")
        unchanged = crons.config_map("configmap/renovate-config unchanged")
        service.ended(tell(service, crons.namespace, unchanged))
        service.ended(tell(service, crons.namespace, crons.config_map(), phase="Failed"))
        elsewhere = {**crons.config_map(), "namespace": "elsewhere"}
        service.ended(tell(service, crons.namespace, elsewhere))
        assert crons.jobs() == []
        sync = tell(service, crons.namespace, crons.config_map())
        wait_for(lambda: len(crons.jobs()) == 1, PATIENCE, "the Job")
        (job,) = crons.jobs()
        (owner,) = job["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("CronJob", cron["metadata"]["uid"])
        assert job["metadata"]["annotations"]["postsync/sync"] == sync
        assert job["metadata"]["labels"]["team"] == "data"
        node.end(node.pod(crons.namespace, job["metadata"]["name"]))
        service.ended(sync)
        (line,) = service.events("rule.matched")
        assert line["rule"] == f"{crons.namespace}/cronjob.renovate"
        assert [one["rule"] for one in service.events("plan.succeeded")] == [line["rule"]]
        assert len(crons.jobs()) == 1


def test_delete_policies_are_kept(tmp_path: Path, crons: CronJobs, node: Kubelet) -> None:
    """One that succeeded is deleted; one that failed stays until the next one is to be made."""
    words = "HookSucceeded,BeforeHookCreation"
    crons.put("renovate", FOLLOWS | {"postsync.dev/delete-policy": words}, jobTemplate=ONCE)
    with crons.serving(tmp_path) as service:
        crons.ready(service, "renovate")
        failed = crons.only_new_job(service, set())
        node.end(node.pod(crons.namespace, failed), 1)
        wait_for(lambda: bool(service.events("plan.failed")), PATIENCE, "the end of the first")
        assert len(crons.jobs()) == 1
        succeeded = crons.only_new_job(service, {failed})
        node.end(node.pod(crons.namespace, succeeded))
        wait_for(lambda: crons.jobs() == [], PATIENCE, "the deletion of the second")


ONCE = {"spec": {**CRON["spec"]["jobTemplate"]["spec"], "backoffLimit": 0}}


def test_without_its_annotations_there_is_no_rule(tmp_path: Path, crons: CronJobs) -> None:
    """Nor after a restart that missed it; a CronJob that is gone has none either."""
    names = ("plain", "removed", "missed", "deleted")
    for name in names:
        crons.put(name, None if name != "plain" else {})
    with crons.serving(tmp_path) as service:
        for name in names[1:]:
            crons.ready(service, name)
        crons.annotate("removed", after=None)
        crons.kube.remove(f"{crons.path}/cronjobs/deleted")
        alone = {f"{crons.namespace}/cronjob.missed"}
        wait_for(lambda: set(known(service)) == alone, PATIENCE, "the removal")
        service.kill()
        crons.annotate("missed", after=None)
        service.start()
        wait_for(lambda: not known(service), PATIENCE, "what was missed")
        crons.annotate("plain", after="ConfigMap/renovate-config")
        crons.ready(service, "plain")


def test_what_becomes_of_it_is_told_on_the_cron_job(tmp_path: Path, crons: CronJobs) -> None:
    """Each once, also over a restart; the list of the rules says the same."""
    crons.put("good")
    crons.put("scheduled", suspend=False)
    crons.put("broken", {"postsync.dev/after": "renovate-config"})
    rule = f"{crons.namespace}/cronjob"
    with crons.serving(tmp_path) as service:
        wait_for(lambda: bool(crons.events("broken")), PATIENCE, "the Event of the refusal")
        wait_for(lambda: bool(crons.events("good")), PATIENCE, "the Event of the good one")
        wait_for(lambda: bool(crons.events("scheduled")), PATIENCE, "the warning")
        ((kind, reason, message),) = crons.events("broken")
        assert (kind, reason) == ("Warning", "PostSyncInvalid")
        told = "metadata.annotations.postsync.dev/after: renovate-config names no resource"
        assert message.startswith(f"rule {rule}.broken: {told}")
        good = ("Normal", "PostSyncInForce", f"rule {rule}.good: the rule is in force")
        assert crons.events("good") == [good]
        ((kind, reason, message),) = crons.events("scheduled")
        assert (kind, reason) == ("Warning", "PostSyncInForce")
        assert "spec.suspend: the CronJob is not suspended" in message
        _, listed = service.request("GET", "/v1/rules", role="operators")
        messages = {one["rule"]: one["message"] for one in listed["rules"]}
        assert messages[f"{rule}.broken"].startswith(told)
        service.kill()
        service.start()
        crons.annotate("broken", after="ConfigMap/renovate-config")
        wait_for(lambda: len(crons.events("broken")) == 2, PATIENCE, "the Event of the mended one")
        assert crons.events("broken")[1][:2] == ("Normal", "PostSyncInForce")
        assert crons.events("good") == [good]
        assert service.events("connection.failed") == []


def test_jobs_that_were_not_granted_are_told(tmp_path: Path, crons: CronJobs) -> None:
    """Where the whole cluster is watched because another namespace may run Jobs."""
    crons.put("renovate")
    setting = tenants_of(tmp_path, crons.kube.kubeconfig(), crons.namespace)
    setting["bounds"].append({"namespaces": ["other"], "handlers": ["kubernetes.job"]})
    with serving(tmp_path, setting):
        wait_for(lambda: bool(crons.events("renovate")), PATIENCE, "the Event")
        ((kind, reason, message),) = crons.events("renovate")
        assert (kind, reason) == ("Warning", "PostSyncBeyondBounds")
        assert "handler kubernetes.job is not among those of namespace" in message


def test_a_right_that_is_missing_costs_nothing_else(tmp_path: Path, crons: CronJobs) -> None:
    """It is logged once; other rules are in force, and no sync that lists CronJobs waits."""
    crons.put("renovate")
    crons.rules.put("a")
    config = granted(crons.kube, crons.namespace, READ, WRITE)
    with crons.serving(tmp_path, config) as service:
        wait_for(lambda: is_ready(service, f"{crons.namespace}/a"), PATIENCE, "the rule")
        sync = tell(service, crons.namespace, crons.config_map(), crons.entry("renovate"))
        service.ended(sync)
        assert [one["rule"] for one in service.events("plan.succeeded")] == [f"{crons.namespace}/a"]
        assert service.events("sync.rules_unread") == []
        (line,) = service.events("cronjobs.notWatched")
        assert line["reason"].endswith("; see docs/tenants.md")
        assert service.events("connection.failed") == []
        assert set(known(service)) == {f"{crons.namespace}/a"}


def test_events_that_may_not_be_written_cost_nothing_else(tmp_path: Path, crons: CronJobs) -> None:
    watch = {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list", "watch"]}
    config = granted(crons.kube, crons.namespace, READ, WRITE, watch)
    crons.put("renovate")
    crons.rules.put("a")
    with crons.serving(tmp_path, config) as service:
        crons.ready(service, "renovate")
        status = f"{crons.namespace}/a"
        wait_for(lambda: bool(crons.rules.status("a")), PATIENCE, f"the status of {status}")
        logged = service.log.read_text
        wait_for(lambda: "cronjobs.noEvents" in logged(), PATIENCE, "the line in the log")
        crons.annotate("renovate", change="any")
        time.sleep(3)
        assert logged().count("cronjobs.noEvents") == 1
        assert crons.events("renovate") == []
        assert service.events("connection.failed") == []


def test_it_is_in_force_for_the_sync_that_brings_it(tmp_path: Path, crons: CronJobs) -> None:
    """And an annotation that a sync changes counts for it."""
    with crons.serving(tmp_path) as service:
        crons.rules.put("there")
        wait_for(lambda: is_ready(service, f"{crons.namespace}/there"), PATIENCE, "the watch")
        for number in range(3):
            name = f"new-{number}"
            crons.put(name)
            sync = tell(service, crons.namespace, crons.entry(name), crons.config_map())
            matched = f"{crons.namespace}/cronjob.{name}"
            assert matched in matches(service, sync)
            crons.annotate(name, after=None)
            sync = tell(service, crons.namespace, crons.entry(name), crons.config_map())
            assert matched not in matches(service, sync)


def matches(service: Service, sync: str) -> list[str]:
    """The rules that have matched a sync, once it is planned."""

    def lines(name: str) -> list[Json]:
        return [line for line in service.events(name) if line["sync"] == sync]

    wait_for(lambda: bool(lines("sync.planned")), PATIENCE, f"the plans of {sync}")
    return [line["rule"] for line in lines("rule.matched")]
