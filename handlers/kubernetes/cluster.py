"""Which cluster an action is meant for."""

from __future__ import annotations

import os

from pydantic import Field

from receiver.contract import Params, Secret
from receiver.kubernetes.access import FLATTEN, SERVICE_ACCOUNT, Access, by_kubeconfig, in_cluster


class Cluster(Params):
    """Another cluster than the one that Postsync runs in."""

    kubeconfig: Secret = Field(
        min_length=1,
        description="The text of its kubeconfig, as a secret, for example `{file: eu.kubeconfig}`; "
        f"with everything in it, as `{FLATTEN}` writes it.",
    )
    context: str | None = Field(
        default=None, description="A context in it; by default its current one."
    )


class OnCluster(Params):
    """What the actions on a cluster have in common."""

    cluster: Cluster | None = Field(
        default=None,
        description="Which cluster; by default the one that Postsync runs in, as its service "
        "account.",
    )


def access(cluster: Cluster | None) -> Access:
    """Find the way to a cluster; a service account's token is read anew each time.

    Raises:
        PermanentError: the kubeconfig is not usable, or we run in no cluster.
    """
    if cluster is None:
        return in_cluster(os.environ, SERVICE_ACCOUNT)
    return by_kubeconfig(cluster.kubeconfig, cluster.context)
