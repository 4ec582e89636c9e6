"""Tests of sqlalchemy-temporal."""
