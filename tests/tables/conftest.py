from __future__ import annotations

import pytest
from sqlalchemy import Engine

from sqlalchemy_temporal import TemporalTables
from tests.tables.fixtures import CUSTOMERS, run


@pytest.fixture
def tables(pg_engine: Engine) -> TemporalTables:
    """Operations on a database with a versioned table of customers, made without models."""
    run(pg_engine, *CUSTOMERS)
    tables = TemporalTables(pg_engine)
    tables.enable_temporal_versioning("customers")
    return tables
