"""HTTP for others: the intake, the API, probes, metrics, and the server under them."""
