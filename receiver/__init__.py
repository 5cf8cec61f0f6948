"""Postsync: what happens after an Argo CD sync, per resource, durably, with a trail."""
