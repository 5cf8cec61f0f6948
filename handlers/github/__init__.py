"""`github.*`: workflows, events, statuses and deployments of a GitHub repository."""

from handlers.github.deployment import handler as deployment
from handlers.github.dispatch import handler as dispatch
from handlers.github.status import handler as status
from handlers.github.workflow import handler as workflow

__all__ = ["deployment", "dispatch", "handlers", "status", "workflow"]

handlers = (deployment, dispatch, status, workflow)
