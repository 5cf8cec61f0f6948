"""Asks Argo CD's API and API servers about Applications and live objects; writes a status alone."""
