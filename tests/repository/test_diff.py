"""What ``repo.diff`` says about rows that differ, one behaviour each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Computed,
    Connection,
    Engine,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    delete,
    insert,
    select,
    text,
    update,
)

from sqlalchemy_temporal.capture.install import install
from sqlalchemy_temporal.errors import BeforeVersioningError, ConfigurationError, MomentError
from sqlalchemy_temporal.model.declare import versioned_table
from sqlalchemy_temporal.repository import Repository, TableStats

metadata = MetaData()
city = versioned_table(
    Table(
        "city",
        metadata,
        Column("id", Integer, Identity(always=True), primary_key=True),
        Column("name", Text, nullable=False),
        Column("size", Numeric),
        Column("twice", Numeric, Computed("size * 2", persisted=True)),
    )
)
street = versioned_table(
    Table(
        "street",
        metadata,
        Column("city_id", ForeignKey(city.c.id), primary_key=True),
        Column("no", Integer, primary_key=True),
        Column("Select", Text),
    )
)


@pytest.fixture
def connection(pg_engine: Engine) -> Iterator[Connection]:
    """Two cities with a street each, tagged v1; changed in each way, tagged v2."""
    metadata.create_all(pg_engine)
    with pg_engine.connect() as found:
        repo = Repository(found)
        found.execute(
            insert(city), [{"name": "Bern", "size": "1.0"}, {"name": "Chur", "size": None}]
        )
        found.execute(insert(street).values(city_id=1, no=1, Select="Aarberg"))
        found.execute(insert(street).values(city_id=2, no=1, Select="Gäuggeli"))
        found.commit()
        repo.tag("v1")
        found.execute(update(city).where(city.c.id == 1).values(size="1.00"))
        found.execute(delete(street).where(street.c.city_id == 2))
        found.execute(delete(city).where(city.c.id == 2))
        found.execute(insert(city).values(name="O'Neill%"))
        found.execute(insert(street).values(city_id=3, no=7, Select="x\\y"))
        found.commit()
        repo.tag("v2")
        found.commit()
        yield found


@pytest.fixture
def repo(connection: Connection) -> Repository:
    return Repository(connection)


def _rows(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.c))]
        for table in (city, street)
    }


def test_each_changed_row_is_told_with_key_operation_and_cells(repo: Repository) -> None:
    found = [(c.table, c.operation, dict(c.key), c.changed) for c in repo.diff("v1", "v2")]
    every = ("id", "name", "size", "twice")
    assert found == [
        ("public.city", "UPDATE", {"id": 1}, ("size", "twice")),
        ("public.city", "DELETE", {"id": 2}, every),
        ("public.city", "INSERT", {"id": 3}, every),
        ("public.street", "DELETE", {"city_id": 2, "no": 1}, ("city_id", "no", "Select")),
        ("public.street", "INSERT", {"city_id": 3, "no": 7}, ("city_id", "no", "Select")),
    ]


def test_before_and_after_are_whole_rows(repo: Repository) -> None:
    first, second, third = list(repo.diff("v1", "v2", city))
    assert str(first.cells["size"]) == "(Decimal('1.0'), Decimal('1.00'))"
    assert second.after is None
    assert second.before == {"id": 2, "name": "Chur", "size": None, "twice": None}
    assert third.before is None
    assert third.after == {"id": 3, "name": "O'Neill%", "size": None, "twice": None}


def test_a_summary_counts_rows_by_table_and_operation(repo: Repository) -> None:
    assert repo.diff("v1", "v2").summary() == {
        "public.city": {"INSERT": 1, "UPDATE": 1, "DELETE": 1},
        "public.street": {"INSERT": 1, "UPDATE": 0, "DELETE": 1},
    }


def test_statistics_count_rows_and_cells(repo: Repository) -> None:
    assert repo.diff("v1", "v2").stats() == TableStats(
        rows_added=2,
        rows_removed=2,
        rows_changed=1,
        cells_added=5,
        cells_removed=5,
        cells_changed=2,
    )


def test_statements_turn_the_first_side_into_the_second(repo: Repository) -> None:
    connection = repo.connection
    there = list(repo.diff("v1", "v2").to_sql())
    back = list(repo.diff("v2", "v1").to_sql())
    second = _rows(connection)
    for statement in back:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    first = _rows(connection)
    assert first != second
    connection.commit()
    assert not repo.diff("v1", "HEAD")
    for statement in there:
        connection.exec_driver_sql(statement.replace("%", "%%"))
    assert _rows(connection) == second


def test_statements_are_readable_and_in_order(repo: Repository) -> None:
    assert list(repo.diff("v1", "v2").to_sql()) == [
        "SET CONSTRAINTS ALL DEFERRED;",
        "UPDATE public.city SET size = 1.00 WHERE id = 1;",
        (
            "INSERT INTO public.city (id, name, size) OVERRIDING SYSTEM VALUE "
            "VALUES (3, 'O''Neill%', NULL);"
        ),
        r"""INSERT INTO public.street (city_id, no, "Select") VALUES (3, 7, E'x\\y');""",
        "DELETE FROM public.street WHERE city_id = 2 AND no = 1;",
        "DELETE FROM public.city WHERE id = 2;",
    ]


def test_no_difference_gives_no_statement(repo: Repository) -> None:
    assert list(repo.diff("v2", "HEAD").to_sql()) == []


def test_a_dictionary_holds_all_of_it(repo: Repository) -> None:
    found = repo.diff("v1", "v2", street).to_dict()
    assert found["from"] == str(repo.get("v1").uuid)
    assert found["summary"] == {"public.street": {"INSERT": 1, "UPDATE": 0, "DELETE": 1}}
    assert found["changes"][0]["before"] == {"city_id": 2, "no": 1, "Select": "Gäuggeli"}


@pytest.mark.parametrize("span", ["v1..v2", "v1..", "HEAD~1..HEAD"])
def test_a_range_names_both_sides(repo: Repository, span: str) -> None:
    assert list(repo.diff(span)) == list(repo.diff("v1", "v2"))


@pytest.mark.parametrize("span", ["v1...v2", "v1..v2..v3"])
def test_what_is_no_range_is_refused(repo: Repository, span: str) -> None:
    with pytest.raises(MomentError, match="range"):
        repo.diff(span)


def test_sides_may_be_commits_uuids_and_times(repo: Repository) -> None:
    expected = list(repo.diff("v1", "v2"))
    v1, v2 = repo.get("v1"), repo.get("v2")
    assert list(repo.diff(v1, v2)) == expected
    assert list(repo.diff(v1.uuid, str(v2.uuid))) == expected
    assert v1.effective_at is not None
    assert list(repo.diff(v1.effective_at, datetime.now(UTC))) == expected


def test_rows_are_chosen_by_table(repo: Repository) -> None:
    assert {c.table for c in repo.diff("v1", "v2", "street")} == {"public.street"}


def test_rows_are_chosen_by_key(repo: Repository) -> None:
    assert [c.operation for c in repo.diff("v1", "v2", city, keys=[2, 9])] == ["DELETE"]
    assert [c.operation for c in repo.diff("v1", "v2", street, keys=[(3, 7)])] == ["INSERT"]


def test_more_keys_than_a_driver_takes_parameters(repo: Repository) -> None:
    found = repo.diff("v1", "v2", city, keys=range(-40_000, 2))
    assert [c.operation for c in found] == ["UPDATE"]
    assert found.stats().rows_changed == 1


def test_keys_of_several_tables_are_refused(repo: Repository) -> None:
    with pytest.raises(ConfigurationError, match="one table"):
        repo.diff("v1", "v2", keys=[1])


def test_a_key_of_the_wrong_length_is_refused(repo: Repository) -> None:
    with pytest.raises(ConfigurationError, match="city_id, no"):
        repo.diff("v1", "v2", street, keys=[1])


def test_rows_are_chosen_by_a_condition_on_either_side(repo: Repository) -> None:
    found = repo.diff("v1", "v2", city, where=city.c.name.in_(["Chur", "Bern"]))
    assert [c.operation for c in found] == ["UPDATE", "DELETE"]


def test_a_condition_on_another_table_is_refused(repo: Repository) -> None:
    with pytest.raises(ConfigurationError, match="street"):
        list(repo.diff("v1", "v2", city, where=street.c.no == 1))


def test_a_value_that_returned_is_no_difference(repo: Repository) -> None:
    connection = repo.connection
    for name in ("Basel", "Bern"):
        connection.execute(update(city).where(city.c.id == 1).values(name=name))
        connection.commit()
    assert not repo.diff("v2", "HEAD")
    assert repo.diff("v2", "HEAD~1").stats().cells_changed == 1


def test_a_changed_key_is_a_row_less_and_a_row_more(repo: Repository) -> None:
    connection = repo.connection
    connection.execute(update(street).where(street.c.no == 7).values(no=8))
    connection.commit()
    found = [(c.operation, c.key["no"]) for c in repo.diff("v2", "HEAD")]
    assert found == [("DELETE", 7), ("INSERT", 8)]


def test_a_table_versioned_later_is_left_out_and_named(repo: Repository) -> None:
    connection = repo.connection
    late = versioned_table(Table("late", MetaData(), Column("id", Integer, primary_key=True)))
    late.create(connection)
    connection.execute(insert(late).values(id=1))
    connection.commit()
    diff = repo.diff("v1", "HEAD")
    assert set(diff.unknown) == {"public.late"}
    assert "public.late" not in diff.summary()
    with pytest.raises(BeforeVersioningError):
        repo.diff("v1", "HEAD", late)


def test_own_changes_are_no_moment_yet(repo: Repository) -> None:
    repo.connection.execute(update(city).values(name="?"))
    assert not repo.diff("v2", "HEAD")


def test_the_rows_are_streamed(repo: Repository) -> None:
    connection = repo.connection
    connection.execute(
        text("INSERT INTO city (name) SELECT 'c' || i FROM generate_series(1, 3000) i")
    )
    connection.commit()
    changes = iter(repo.diff("v2", "HEAD"))
    next(changes)
    cursors = connection.exec_driver_sql("SELECT count(*) FROM pg_cursors").scalar()
    assert cursors == 1
    assert sum(1 for _ in changes) == 2999


VALUES = [
    ("json", '{"a":  1}', '{"a": 1}'),
    ("jsonb", '{"a": 1}', '{"a": 2}'),
    ("numeric", "1.0", "1.00"),
    ("numeric", "NaN", "Infinity"),
    ("float8", "NaN", "0"),
    ("int[]", "{1,NULL}", "{1,2}"),
    ("text[]", "[0:1]={a,b}", "{a,b}"),
    ("point", "(1,2)", "(1,3)"),
    ("bytea", r"\x00ff", r"\x00fe"),
    ("interval", "1 mon", "30 days"),
    ("timestamptz", "2024-01-01 00:00+00", "2024-01-01 00:00:00.000001+00"),
    ("tstzrange", "[2024-01-01 00:00+00,)", "empty"),
    ("mood", "sad", "glad"),
    ("pair", '(1,"a b")', "(,)"),
    ("text", "", " "),
    ("citytext", "Bern", "BERN"),
]


@pytest.mark.parametrize(("sql_type", "old", "new"), VALUES)
def test_values_are_compared_and_written_as_their_type_has_them(
    pg_engine: Engine, sql_type: str, old: str, new: str
) -> None:
    with pg_engine.connect() as connection:
        for statement in (
            "CREATE TYPE mood AS ENUM ('sad', 'glad')",
            "CREATE TYPE pair AS (a int, b text)",
            "CREATE DOMAIN citytext AS text CHECK (value <> '')",
            f"CREATE TABLE t (id int PRIMARY KEY, v {sql_type})",
        ):
            connection.exec_driver_sql(statement)
        install(connection, _described())
        put = text(f"INSERT INTO t VALUES (:id, CAST(CAST(:v AS text) AS {sql_type}))")
        connection.execute(put, [{"id": 1, "v": old}, {"id": 2, "v": old}, {"id": 3, "v": None}])
        connection.commit()
        change = text(f"UPDATE t SET v = CAST(CAST(:v AS text) AS {sql_type}) WHERE id = :id")
        connection.execute(change, [{"id": 1, "v": new}, {"id": 2, "v": old}, {"id": 3, "v": new}])
        connection.commit()
        repo = Repository(connection)
        assert [(c.key["id"], c.changed) for c in repo.diff("HEAD~1", "HEAD")] == [
            (1, ("v",)),
            (3, ("v",)),
        ]
        for statement in repo.diff("HEAD", "HEAD~1").to_sql():
            connection.exec_driver_sql(statement.replace("%", "%%"))
        connection.commit()
        assert not repo.diff("HEAD~2", "HEAD")


def _described() -> Table:
    return versioned_table(
        Table("t", MetaData(), Column("id", Integer, primary_key=True), Column("v", Text))
    )
