"""Measures the library against unversioned tables; run it as ``python -m benchmarks``."""
