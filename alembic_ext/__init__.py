"""Alembic migrations that keep history in step with the tables it belongs to.

In ``env.py``::

    import alembic_ext

    alembic_ext.register()

From then on ``alembic revision --autogenerate`` sees what is versioned, the operations
``op.enable_versioning()``, ``op.disable_versioning()``, ``op.sync_versioning()``,
``op.rename_versioned_table()`` and ``op.backfill_versioning()`` exist, and ordinary operations
on a versioned table carry its history along.
"""

from alembic_ext.register import register

__all__ = ["register"]
