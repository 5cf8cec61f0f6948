"""The ledger: the one truth about deliveries, syncs, plans, runs, attempts and the trail."""
