"""The two engines: a SQLite file for one host, a PostgreSQL database for several."""
