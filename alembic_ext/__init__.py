"""Alembic operations and autogenerate support for versioned tables."""
