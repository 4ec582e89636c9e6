"""The SQL text of every object on PostgreSQL: the one place where it is generated."""
