"""Reads the ledger for people: lists, one sync's story, readiness, gauges."""
