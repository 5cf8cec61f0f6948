"""The acts of operators: retry, replay, cancel, approve, pause, resume.

Each act is one transaction: it looks at the state, changes it and tells the trail who did so.
Of two operators who do the same at one time, the second is told what the first has done.
"""
