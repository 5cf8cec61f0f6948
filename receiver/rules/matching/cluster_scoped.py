"""Which of Kubernetes' own kinds are cluster-scoped.

Argo CD's entries carry the Application's destination namespace for these too, so their
namespace means nothing. The payload has no scope of a kind: a custom resource is taken as
namespaced, and a rule for a cluster-scoped one should not give a namespace.
"""

from __future__ import annotations

from receiver.core.model import Resource

# From api/discovery of kubernetes/kubernetes, with kinds that only older clusters have.
BY_GROUP = {
    "": "ComponentStatus Namespace Node PersistentVolume",
    "admissionregistration.k8s.io": "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding "
    "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
    "ValidatingWebhookConfiguration",
    "apiextensions.k8s.io": "CustomResourceDefinition",
    "apiregistration.k8s.io": "APIService",
    "certificates.k8s.io": "CertificateSigningRequest ClusterTrustBundle",
    "extensions": "PodSecurityPolicy",
    "flowcontrol.apiserver.k8s.io": "FlowSchema PriorityLevelConfiguration",
    "internal.apiserver.k8s.io": "StorageVersion",
    "networking.k8s.io": "ClusterCIDR IPAddress IngressClass ServiceCIDR",
    "node.k8s.io": "RuntimeClass",
    "policy": "PodSecurityPolicy",
    "rbac.authorization.k8s.io": "ClusterRole ClusterRoleBinding",
    "resource.k8s.io": "DeviceClass DeviceTaintRule ResourceClass ResourcePoolStatusRequest "
    "ResourceSlice",
    "scheduling.k8s.io": "PriorityClass",
    "storage.k8s.io": "CSIDriver CSINode StorageClass VolumeAttachment VolumeAttributesClass",
    "storagemigration.k8s.io": "StorageVersionMigration",
}
CLUSTER_SCOPED = frozenset(
    (group, kind) for group, kinds in BY_GROUP.items() for kind in kinds.split()
)


def namespace_of(resource: Resource) -> str | None:
    """Return the resource's namespace; None for a kind that has none."""
    return None if (resource.group, resource.kind) in CLUSTER_SCOPED else resource.namespace
