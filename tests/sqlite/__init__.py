"""SQLite as an embedded default."""
