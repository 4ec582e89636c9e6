"""Importing what other libraries recorded, with those libraries."""
