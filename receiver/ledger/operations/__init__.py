"""The acts of operators: retry, replay, cancel, approve, pause, resume.

Each act is one transaction: it reads the state, changes it and writes to the trail who did so.
Of two operators who do the same at one time, the second gets an error with what the first has done.
"""
