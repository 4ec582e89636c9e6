"""Tests of the repository: diff, restore and the other operations on commits."""
