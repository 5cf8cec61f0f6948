from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from json_places import Place, places, put

from receiver.kubernetes.health import CHECKS, argocd_health, health


def _object(version: str, kind: str, spec: Any = None, status: Any = None, **meta: Any) -> Any:
    return {
        "apiVersion": version, "kind": kind, "metadata": {"name": "a", "generation": 2, **meta},
        "spec": spec, "status": status,
    }  # fmt: skip


def _deployment(wanted: int = 2, **status: Any) -> Any:
    return _object(
        "apps/v1", "Deployment", {"replicas": wanted}, {"observedGeneration": 2, **status}
    )


def _set(spec: Any = None, **status: Any) -> Any:
    return _object(
        "apps/v1", "StatefulSet", {"replicas": 2, **(spec or {})},
        {"observedGeneration": 2, **status},
    )  # fmt: skip


def _daemons(spec: Any = None, **status: Any) -> Any:
    return _object("apps/v1", "DaemonSet", spec, {"observedGeneration": 2, **status})


def _job(*conditions: str) -> Any:
    met = [{"type": one, "status": "True", "reason": "Why", "message": "so"} for one in conditions]
    return _object("batch/v1", "Job", {}, {"conditions": met})


def _pod(phase: str = "Running", policy: str = "Always", **status: Any) -> Any:
    return _object("v1", "Pod", {"restartPolicy": policy}, {"phase": phase, **status})


def _container(**fields: Any) -> Any:
    return [{"name": "main", **fields}]


def _other(condition: str, status: str, version: str = "farm.example.com/v1", **more: Any) -> Any:
    told = {"type": condition, "status": status, "message": "so", **more}
    return _object(version, "Mouse", {}, {"conditions": [told]})


def _rollout(phase: str, message: str = "", **more: Any) -> Any:
    status = {"observedGeneration": "2", "phase": phase, "message": message, **more}
    return _object("argoproj.io/v1alpha1", "Rollout", {}, status)


def _application(word: str) -> Any:
    status = {"health": {"status": word, "message": "so"}}
    return _object("argoproj.io/v1alpha1", "Application", {}, status)


READY = [{"type": "Ready", "status": "True"}]
DONE = {"replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}
LATE = {"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "too late"}
ROLLED = {"readyReplicas": 2, "updatedReplicas": 2}
PARTITION = {"updateStrategy": {"rollingUpdate": {"partition": 1}}}
ON_DELETE = {"updateStrategy": {"type": "OnDelete"}}
HALF = {"readyReplicas": 2, "updatedReplicas": 1}
DAEMONS = {"desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 3}
BALANCED = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}]}}
BACK_OFF = _container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no image"}})
EXIT = _container(state={"terminated": {"exitCode": 3, "reason": "Error"}})


@pytest.mark.parametrize(
    ("found", "status", "told"),
    [
        (_deployment(**DONE), "Healthy", ""),
        (_deployment(0), "Healthy", ""),
        (_deployment(**DONE | {"observedGeneration": 1}), "Progressing", "not seen it"),
        (_deployment(**DONE | {"updatedReplicas": 1}), "Progressing", "1 of 2 replicas are u"),
        (_deployment(**DONE | {"replicas": 3}), "Progressing", "1 old replicas have yet to end"),
        (_deployment(**DONE | {"availableReplicas": 1}), "Progressing", "1 of 2 replicas are a"),
        (_deployment(conditions=[LATE]), "Degraded", "too late"),
        (_object("apps/v1", "Deployment", {"paused": True}), "Suspended", "paused"),
        (_object("apps/v1", "Deployment"), "Progressing", "not seen it"),
        (_set(**ROLLED), "Healthy", ""),
        (_set(**ROLLED | {"readyReplicas": 1}), "Progressing", "1 of 2 replicas are ready"),
        (_set(**HALF), "Progressing", "1 of 2 replicas are u"),
        (_set(PARTITION, **HALF), "Healthy", ""),
        (_set(PARTITION, **HALF | {"updatedReplicas": 0}), "Progressing", "0 of 1"),
        (_set(ON_DELETE, **HALF), "Healthy", ""),
        (_set(**ROLLED | {"observedGeneration": 0}), "Progressing", "not seen it"),
        (_daemons(**DAEMONS), "Healthy", ""),
        (_daemons(**DAEMONS | {"updatedNumberScheduled": 1}), "Progressing", "1 of 3 pods are upd"),
        (_daemons(**DAEMONS | {"numberAvailable": 1}), "Progressing", "1 of 3 pods are available"),
        (_daemons(ON_DELETE, desiredNumberScheduled=3), "Healthy", ""),
        (_daemons(observedGeneration=1), "Progressing", "not seen it"),
        (_job(), "Progressing", "has not ended yet"),
        (_job("SuccessCriteriaMet"), "Progressing", "has not ended yet"),
        (_job("SuccessCriteriaMet", "Complete"), "Healthy", ""),
        (_job("FailureTarget", "Failed"), "Degraded", "Why: so"),
        (_job("Suspended"), "Suspended", "it is suspended"),
        (_pod(conditions=READY), "Healthy", ""),
        (_pod(), "Progressing", "it is not ready yet"),
        (_pod(containerStatuses=_container(lastState={"terminated": {}})), "Progressing", ""),
        (
            _pod(containerStatuses=_container(lastState={"terminated": {"exitCode": 1}})),
            "Degraded", "main has ended, and is not ready again",
        ),
        (_pod("Pending", containerStatuses=BACK_OFF), "Degraded", "main: ImagePullBackOff: no im"),
        (_pod("Pending", "Never", containerStatuses=BACK_OFF), "Progressing", "phase is Pending"),
        (_pod("Running", "Never", conditions=READY), "Progressing", "its phase is Running"),
        (_pod("Pending", initContainerStatuses=BACK_OFF), "Progressing", "phase is Pending"),
        (_pod("Succeeded", "Never"), "Healthy", ""),
        (_pod("Failed", "Never", containerStatuses=EXIT), "Degraded", "ended with exit code 3"),
        (_pod("Failed", "Never", reason="Evicted", message="so"), "Degraded", "Evicted: so"),
        (_pod("Failed", "Never"), "Degraded", "it has failed"),
        (_object("v1", "PersistentVolumeClaim", {}, {"phase": "Bound"}), "Healthy", ""),
        (_object("v1", "PersistentVolumeClaim", {}, {"phase": "Pending"}), "Progressing", "bound"),
        (_object("v1", "PersistentVolumeClaim", {}, {"phase": "Lost"}), "Degraded", "is lost"),
        (_object("v1", "Service", {"type": "ClusterIP"}), "Healthy", ""),
        (_object("v1", "Service", {"type": "LoadBalancer"}), "Progressing", "no address yet"),
        (_object("v1", "Service", {"type": "LoadBalancer"}, BALANCED), "Healthy", ""),
        (_object("networking.k8s.io/v1", "Ingress", {}, BALANCED), "Healthy", ""),
        (_object("networking.k8s.io/v1", "Ingress"), "Progressing", "no address yet"),
        (
            _object("apps/v1", "ReplicaSet", {"replicas": 2},
                    {"observedGeneration": 2, "availableReplicas": 1}),
            "Progressing", "1 of 2 replicas are available",
        ),
        (
            _object("apps/v1", "ReplicaSet", {}, {"observedGeneration": 2, "availableReplicas": 1}),
            "Healthy", "",
        ),
        (
            _object("apps/v1", "ReplicaSet", {}, {"observedGeneration": 2, "conditions": [
                {"type": "ReplicaFailure", "status": "True", "message": "quota"}]}),
            "Degraded", "quota",
        ),
        (_object("v1", "ConfigMap"), "Healthy", ""),
        (_object("rbac.authorization.k8s.io/v1", "Role"), "Healthy", ""),
        (_object("farm.example.com/v1", "Mouse"), "Progressing", "none of the conditions"),
        (_other("Ready", "True"), "Healthy", ""),
        (_other("Available", "True"), "Healthy", ""),
        (_other("Ready", "False"), "Progressing", "Ready is False: so"),
        (_other("Ready", "Unknown"), "Progressing", "Ready is Unknown: so"),
        (_other("Ready", "True", observedGeneration=1), "Progressing", "not seen it"),
        (_object("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "Progressing", "none of"),
        (_other("Established", "True", "apiextensions.k8s.io/v1"), "Healthy", ""),
        (_other("Ready", "True", observedGeneration="2"), "Healthy", ""),
        (_other("Ready", "True", observedGeneration="1"), "Progressing", "not seen it"),
        (_other("Ready", "True", observedGeneration="5f8c"), "Healthy", ""),
        (_rollout("Healthy"), "Healthy", ""),
        (_rollout("Progressing", "more replicas"), "Progressing", "more replicas"),
        (_rollout("Paused", "CanaryPauseStep"), "Suspended", "CanaryPauseStep"),
        (_rollout("Degraded", "aborted"), "Degraded", "aborted"),
        (_rollout("Healthy", observedGeneration="1"), "Progressing", "not seen it"),
        (_rollout("Healthy", observedGeneration=2), "Healthy", ""),
        (_rollout("Healthy", observedGeneration="7d6f5c"), "Healthy", ""),
        (_rollout(""), "Progressing", "its phase is not known yet"),
        (_object("argoproj.io/v1alpha1", "Rollout"), "Progressing", "not seen it"),
        (_application("Healthy"), "Healthy", ""),
        (_application("Degraded"), "Degraded", "so"),
        (_application("Suspended"), "Suspended", "so"),
        (_application("Missing"), "Progressing", "its health is Missing: so"),
        (_object("argoproj.io/v1alpha1", "Application"), "Progressing", "not been reconciled"),
        (_object("argoproj.io/v1alpha1", "AppProject"), "Progressing", "none of the conditions"),
        (_other("Ready", "True") | {"metadata": {"deletionTimestamp": "x"}}, "Progressing", ""),
    ],
)  # fmt: skip
def test_health_is_as_argo_cd_judges_it(found: Any, status: str, told: str) -> None:
    """Its rules for the usual kinds; for others their usual conditions."""
    judged = health(found)
    assert (judged.status, told in judged.message) == (status, True), judged


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (_object("monitoring.coreos.com/v1", "ServiceMonitor"), "Healthy"),
        (_object("argoproj.io/v1alpha1", "AppProject"), "Healthy"),
        (_object("farm.example.com/v1", "Mouse", {}, {"conditions": [{"type": "Fed"}]}), "Healthy"),
        (_other("Ready", "False"), "Progressing"),
        (_object("apiextensions.k8s.io/v1", "CustomResourceDefinition"), "Progressing"),
        (_rollout("Paused"), "Suspended"),
        (_deployment(**DONE | {"updatedReplicas": 1}), "Progressing"),
    ],
)
def test_of_an_application_a_kind_without_conditions_is_healthy(found: Any, status: str) -> None:
    """Argo CD does not judge it; what it judges is as for who waits."""
    assert argocd_health(found).status == status


ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
    | st.sampled_from(["2", "Ready", "True", "²", "1e3", "-1", "9" * 5000]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner,
                                                                max_size=2),
    max_leaves=6,
)  # fmt: skip
WHOLE = {
    "spec": {
        "replicas": 2, "paused": False, "restartPolicy": "Always", "type": "LoadBalancer",
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
    },
    "status": {
        **DONE, **ROLLED, **DAEMONS, **BALANCED, "observedGeneration": 2, "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 2,
                        "reason": "So", "message": "so"}],
        "health": {"status": "Healthy", "message": ""},
        "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "So"}},
                               "lastState": {"terminated": {"exitCode": 1}}}],
    },
    "metadata": {"name": "a", "generation": 2},
}  # fmt: skip
KINDS = [*CHECKS, ("farm.example.com", "Mouse"), ("", "ConfigMap")]


@settings(max_examples=1000, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(KINDS), st.sampled_from(list(places(WHOLE))), ODD,
    st.sampled_from(list(places(WHOLE))), ODD,
)  # fmt: skip
def test_whatever_an_object_has_anywhere_it_is_judged(
    kind: tuple[str, str], place: Place, value: Any, other: Place, more: Any
) -> None:
    """Anybody's controller writes a custom resource's status, and as it likes."""
    group, name = kind
    tree = put(WHOLE, place, value)
    if other in list(places(tree)):
        tree = put(tree, other, more)
    found = {"apiVersion": f"{group}/v1" if group else "v1", "kind": name, **tree}
    for judge in (health, argocd_health):
        judged = judge(found)
        assert judged.status in {"Healthy", "Progressing", "Degraded", "Suspended"}
        assert isinstance(judged.message, str)
