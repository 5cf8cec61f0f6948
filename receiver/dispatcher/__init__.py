"""The loop that plans syncs and claims runs, and the threads that make the attempts."""

from receiver.dispatcher.loop import Dispatcher

__all__ = ["Dispatcher"]
