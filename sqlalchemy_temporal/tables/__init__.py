"""Versioning any table by name: no models needed."""
