"""What the custom resource is called in the API, and its rule in force."""

from __future__ import annotations

GROUP = "postsync.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PostSyncRule"
PLURAL = "postsyncrules"
SHORT_NAME = "psr"


def full_name(namespace: str, name: str) -> str:
    """Return what a PostSyncRule's rule is called in force; no name in a rule file has a slash."""
    return f"{namespace}/{name}"


def tenant_of(rule: str) -> str:
    """Return the namespace that a rule belongs to by its name, "" if it is the operator's."""
    return rule.rpartition("/")[0]


def lane_of(lane: str, tenant: str) -> str:
    """Return the lane that a tenant has beside all others: ``HOST of NAMESPACE``."""
    return f"{lane} of {tenant}"


def tenant_of_lane(lane: str) -> str:
    """Return the namespace whose lane it is, "" if it is the operator's; see `lane_of`.

    What follows it are credentials, none of whose names has a space.
    """
    return lane.rpartition(" of ")[2].partition(" ")[0] if " of " in lane else ""


def file_name(namespace: str, name: str) -> str:
    """Return the name of the one file in the rule set of a PostSyncRule."""
    return f"{PLURAL}/{namespace}/{name}"
