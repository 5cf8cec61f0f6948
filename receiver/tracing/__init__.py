"""OpenTelemetry spans of notifications, plans and attempts; imported only where `tracing` is on."""
