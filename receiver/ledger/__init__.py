"""The database: deliveries, syncs, plans, runs, attempts and the trail."""
