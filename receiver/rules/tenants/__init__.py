"""Rules that stand in namespaces, each a custom resource, within the bounds of its tenant."""
