"""A sync and rules become plans, and a plan releases its waves; nothing here stores."""
