"""The operator's page: what the API tells and does, for people with a browser; docs/page.md."""
