"""Importing what postgresql-audit recorded."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.ext.asyncio import create_async_engine

from sqlalchemy_temporal import (
    BeforeVersioningError,
    HistoryImportError,
    Repository,
    UnsupportedDatabaseError,
    get_row_history,
    import_audit_activity,
    query_temporal_data,
)


@pytest.fixture
def recorded(pg_engine: Engine) -> Engine:
    """A database in which an application of postgresql-audit has written."""
    url = pg_engine.url.render_as_string(hide_password=False)
    program = str(Path(__file__).with_name("write_activity.py"))
    subprocess.run([sys.executable, program, url], check=True)
    with pg_engine.begin() as connection:
        connection.execute(text("ALTER TABLE product DROP COLUMN views"))
    return pg_engine


def products(engine: Engine, when: str) -> dict[int, tuple[str, Decimal]]:
    rows = query_temporal_data(engine, "product", when)
    return {row["id"]: (row["name"], row["price"]) for row in rows}


def verifies(engine: Engine) -> bool:
    with Repository(engine).begin() as repo:
        return repo.verify().ok


def test_each_recorded_moment_reads_as_it_was(recorded: Engine) -> None:
    import_audit_activity(recorded, ["product"], dry_run=False, activity_schema="audit")
    untouched, new = ("untouched", Decimal("3.00")), ("newer", Decimal("9.99"))
    old, dearer = ("old", Decimal("1.00")), ("old", Decimal("1.50"))
    assert products(recorded, "HEAD~5") == {1: old, 2: untouched}
    assert products(recorded, "HEAD~4") == {1: dearer, 2: untouched}
    assert products(recorded, "HEAD~3") == {1: dearer, 2: untouched, 3: new}
    assert products(recorded, "HEAD~2") == {1: dearer, 2: untouched, 30: new}
    assert products(recorded, "HEAD~1") == {2: untouched, 30: new}
    assert products(recorded, "HEAD") == {2: untouched, 30: new}


def test_history_verifies_afterwards(recorded: Engine) -> None:
    import_audit_activity(recorded, ["product"], dry_run=False, activity_schema="audit")
    assert verifies(recorded)


def test_actors_are_authors_and_rows_that_did_not_change_keep_their_writer(
    recorded: Engine,
) -> None:
    import_audit_activity(recorded, ["product"], dry_run=False, activity_schema="audit")
    with Repository(recorded).begin() as repo:
        told = [(each.operation, each.author) for each in repo.log()]
    assert told == [
        ("BASELINE", None),
        ("IMPORT", "ana"),
        ("IMPORT", None),
        ("IMPORT", "bo"),
        ("IMPORT", "ana"),
        ("BASELINE", None),
    ]
    assert len(list(get_row_history(recorded, "product", {"id": 2}))) == 1


def test_without_complete_records_nothing_is_assumed_of_what_was_before(recorded: Engine) -> None:
    result = import_audit_activity(
        recorded, ["product"], dry_run=False, activity_schema="audit", complete=False
    )
    assert result.tables[0].unrecorded == 1
    assert products(recorded, "HEAD~4") == {1: ("old", Decimal("1.50"))}
    with pytest.raises(BeforeVersioningError):
        products(recorded, "HEAD~5")
    assert verifies(recorded)


def test_values_of_every_type_are_exact(recorded: Engine) -> None:
    import_audit_activity(recorded, ["product"], dry_run=False, activity_schema="audit")
    (row,) = query_temporal_data(recorded, "product", "HEAD~4", where={"id": 1})
    assert (row["labels"], row["about"]) == (["a", 'b "c"'], {"z": 1, "a": [1, 2]})


def test_a_truncate_is_refused_because_it_names_no_rows(recorded: Engine) -> None:
    with recorded.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO audit.activity (id, schema_name, table_name, verb, issued_at, "
                "native_transaction_id) VALUES (1000, 'public', 'product', 'truncate', now(), '99')"
            )
        )
    with pytest.raises(HistoryImportError, match="TRUNCATE"):
        import_audit_activity(recorded, ["product"], dry_run=False, activity_schema="audit")


async def test_asyncio_drivers_import_in_run_sync(recorded: Engine) -> None:
    engine = create_async_engine(recorded.url.set(drivername="postgresql+asyncpg"))
    async with engine.begin() as connection:
        await connection.run_sync(
            import_audit_activity, ["product"], dry_run=False, activity_schema="audit"
        )
    await engine.dispose()
    assert len(products(recorded, "HEAD~3")) == 3


def test_activities_elsewhere_are_asked_for(recorded: Engine) -> None:
    with pytest.raises(HistoryImportError, match="activity_schema="):
        import_audit_activity(recorded, ["product"])


def test_it_is_about_postgresql(sqlite_engine: Engine) -> None:
    with sqlite_engine.begin() as connection:
        connection.execute(text("CREATE TABLE product (id INTEGER PRIMARY KEY)"))
    with pytest.raises(UnsupportedDatabaseError):
        import_audit_activity(sqlite_engine, ["product"])
