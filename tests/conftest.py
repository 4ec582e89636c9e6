"""Fixtures of all tests; each group lies in a module fix_*.py."""

pytest_plugins = ("tests.fix_server",)
