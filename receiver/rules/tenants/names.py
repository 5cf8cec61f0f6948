"""What the custom resource, and a CronJob that stands for one, are called, and their rules."""

from __future__ import annotations

GROUP = "postsync.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PostSyncRule"
PLURAL = "postsyncrules"
SHORT_NAME = "psr"
CRON_JOB = "CronJob"
CRON_JOB_VERSION = "batch/v1"
CRON_JOBS = "cronjobs"
CRON_JOB_RULE = f"{CRON_JOB.lower()}."
"""With it begin the names of the rules that CronJobs make, and those of no PostSyncRule."""


def full_name(namespace: str, name: str) -> str:
    """Return what a PostSyncRule's rule is called in force; no name in a rule file has a slash."""
    return f"{namespace}/{name}"


def cron_job_rule(name: str) -> str:
    """Return what the rule of a CronJob is called in its namespace."""
    return f"{CRON_JOB_RULE}{name}"


def cron_job_of(rule: str) -> str:
    """Return the CronJob that makes a rule of a namespace, "" if it is that of a PostSyncRule."""
    return rule.removeprefix(CRON_JOB_RULE) if rule.startswith(CRON_JOB_RULE) else ""


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
    """Return the name of the one file in the rule set of a rule of a namespace."""
    cron_job = cron_job_of(name)
    return f"{CRON_JOBS if cron_job else PLURAL}/{namespace}/{cron_job or name}"
