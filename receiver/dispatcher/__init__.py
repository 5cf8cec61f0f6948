"""The loop: plan new syncs, run due runs, obey signals, drain."""

from receiver.dispatcher.loop import Dispatcher

__all__ = ["Dispatcher"]
