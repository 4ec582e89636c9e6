"""The SQL text of every object on SQLite: the one place where it is generated."""
