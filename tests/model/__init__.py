"""Tests of the model layer: declarations, histories of entities, versions of objects."""
