"""The kinds that most rules are about: those of Kubernetes itself, and of Argo's own projects."""

from __future__ import annotations

from receiver.rules.matching.cluster_scoped import CLUSTER_SCOPED

NAMESPACED = """
    Binding ConfigMap Endpoints Event LimitRange PersistentVolumeClaim Pod PodTemplate
    ReplicationController ResourceQuota Secret Service ServiceAccount
    ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet
    CronJob Job HorizontalPodAutoscaler PodDisruptionBudget EndpointSlice Lease
    Ingress NetworkPolicy Role RoleBinding CSIStorageCapacity
    LocalSubjectAccessReview ResourceClaim ResourceClaimTemplate
"""
"""From api/discovery of kubernetes/kubernetes, without what only older clusters have."""

ARGO = """
    Application ApplicationSet AppProject
    AnalysisRun AnalysisTemplate ClusterAnalysisTemplate Experiment Rollout
    ClusterWorkflowTemplate CronWorkflow Workflow WorkflowEventBinding WorkflowTemplate
    EventBus EventSource Sensor
"""

GROUPS = frozenset(group for group, _ in CLUSTER_SCOPED) | {
    *("apps", "autoscaling", "batch", "coordination.k8s.io", "discovery.k8s.io"),
    *("events.k8s.io", "authorization.k8s.io", "argoproj.io"),
}
"""The API groups of these kinds."""

KINDS = frozenset(kind for _, kind in CLUSTER_SCOPED) | {*NAMESPACED.split(), *ARGO.split()}
