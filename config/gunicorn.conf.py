"""gunicorn's own settings for the intake: name this file in `gunicornConfig`.

What stands here wins over what postsync sets. Every setting of
https://docs.gunicorn.org/en/stable/settings.html may stand here but `workers`, `worker_class`
and `preload_app`: one process with threads writes the ledger and counts for /metrics, and its
worker cuts slow senders off.
"""

# Connections that wait while all threads are busy.
backlog = 512
