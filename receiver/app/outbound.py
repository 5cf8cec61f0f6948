"""Builds the HTTP client of the settings."""

from __future__ import annotations

import os

from receiver.outbound import Outbound, own_api_server
from receiver.settings.model import Settings


def build_outbound(settings: Settings) -> Outbound:
    """Build the HTTP client."""
    return Outbound(
        allow_hosts=settings.allow_hosts,
        deny_hosts=settings.deny_hosts,
        allow_networks=settings.allow_networks,
        deny_networks=settings.deny_networks,
        ca_bundle=settings.ca_bundle,
        proxy=settings.proxy,
        no_proxy=[*settings.no_proxy, *own_api_server(os.environ)],
        pool_size=settings.attempt_threads,
    )
