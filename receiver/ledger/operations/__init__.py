"""What operators do to the ledger: retry, cancel, approve, pause, ask for a replay.

Each act is one transaction: it looks at the state, changes it and tells the trail who did so.
Of two operators who do the same at one time, the second is told what the first has done.
"""
