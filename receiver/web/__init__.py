"""The doors for HTTP: intake, read API, health, metrics, and the server under them."""
