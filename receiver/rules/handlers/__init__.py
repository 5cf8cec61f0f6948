"""The handlers that are installed: their parameters, schema, reference page and secrets."""
