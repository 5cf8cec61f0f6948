"""The two database engines: a SQLite file for one host, PostgreSQL for several."""
