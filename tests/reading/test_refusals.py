"""What the past refuses, because the answer might be of the present."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Integer,
    MetaData,
    Table,
    column,
    func,
    literal_column,
    select,
    table,
    tablesample,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, aliased, joinedload, selectinload
from sqlalchemy.sql.expression import ColumnElement, FromClause
from sqlalchemy.sql.functions import FunctionElement, GenericFunction

from sqlalchemy_temporal.errors import (
    ReadOnlyPastError,
    UnsupportedReadError,
    UnversionedTableError,
)
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.session import AsOfSession
from sqlalchemy_temporal.schema import history_table, system_tables
from tests.reading.conftest import Zoo
from tests.reading.zoo import Address, Customer, Employee, Order, Setting, Tag

Ask = Callable[[AsOfSession], Any]


class two(FunctionElement[int]):  # noqa: N801 - named like a function
    type = Integer()
    inherit_cache = True


@compiles(two)
def _two(element: Any, compiler: Any, **kw: Any) -> str:
    return "(SELECT count(*) FROM tags)"


class raw(ColumnElement[int]):  # noqa: N801 - named like an expression
    inherit_cache = True
    type = Integer()


@compiles(raw)
def _raw(element: Any, compiler: Any, **kw: Any) -> str:
    return "(SELECT count(*) FROM tags)"


@pytest.fixture
def past(both: Zoo) -> Iterator[AsOfSession]:
    with Session(both.engine) as session, as_of(session, both.first) as past:
        yield past


@pytest.fixture
def allowing(both: Zoo) -> Iterator[AsOfSession]:
    with Session(both.engine) as session, as_of(session, both.first, text="allow") as past:
        yield past


tags = table("tags", column("id"), column("name"))

TEXTUAL: dict[str, Ask] = {
    "text": lambda p: p.execute(text("SELECT name FROM tags")),
    "text_with_columns": lambda p: p.execute(text("SELECT id FROM tags").columns(column("id"))),
    "entities_from_text": lambda p: p.scalars(
        select(Tag).from_statement(text("SELECT id, name FROM tags"))
    ).all(),
    "subquery_of_text": lambda p: p.execute(
        select(text("SELECT id FROM tags").columns(column("id")).subquery("s"))
    ),
    "text_in_from": lambda p: p.execute(select(text("1")).select_from(text("tags, customers"))),
    "text_in_where": lambda p: p.scalars(
        select(Tag).where(text("id IN (SELECT tag_id FROM order_tags)"))
    ),
    "text_that_ends_the_select": lambda p: p.execute(
        select(Tag.id).where(text("true UNION SELECT id FROM customers"))
    ),
    "text_in_order_by": lambda p: p.scalars(
        select(Tag).order_by(text("(SELECT count(*) FROM customers)"))
    ),
    "literal_column": lambda p: p.execute(select(literal_column("(SELECT count(*) FROM tags)"))),
    "prefix": lambda p: p.execute(select(Tag.id).prefix_with("(SELECT count(*) FROM tags),")),
    "suffix": lambda p: p.execute(select(Tag.id).suffix_with("UNION SELECT id FROM customers")),
    "hint": lambda p: p.execute(select(Tag.id).with_statement_hint("UNION TABLE x")),
    "table_hint": lambda p: p.execute(select(Tag.id).with_hint(Tag, "ONLY")),
    "operator": lambda p: p.execute(
        select(Tag.id).where(Tag.id.op("= (SELECT max(id) FROM tags) OR id =")(1))
    ),
    "lightweight_table": lambda p: p.execute(select(tags.c.name)),
    "lightweight_table_joined": lambda p: p.execute(select(Customer.id).join(tags, tags.c.id == 1)),
    "custom_function": lambda p: p.execute(select(two())),
    "custom_expression": lambda p: p.execute(select(Tag.id).where(raw() == 3)),
    "custom_in_a_subquery": lambda p: p.execute(select(select(raw()).subquery())),
    "unknown_function": lambda p: p.execute(select(func.count_tags())),
    "unknown_function_in_from": lambda p: p.execute(
        select(column("x")).select_from(func.all_tags().table_valued("x"))
    ),
    "function_in_a_schema": lambda p: p.execute(select(func.mine.lower("x"))),
    "function_that_runs_queries": lambda p: p.execute(
        select(func.query_to_xml("SELECT * FROM tags", True, False, ""))
    ),
    "function_executed": lambda p: p.execute(func.count_tags()),
}


@pytest.mark.parametrize("name", list(TEXTUAL))
def test_what_may_read_the_present_unseen(past: AsOfSession, name: str) -> None:
    with pytest.raises(UnsupportedReadError):
        TEXTUAL[name](past)


def test_a_raw_statement_on_the_connection(past: AsOfSession) -> None:
    with pytest.raises(UnsupportedReadError, match="SELECT 1"):
        past.connection().exec_driver_sql("SELECT 1")


def test_the_message_says_what_to_do(past: AsOfSession) -> None:
    with pytest.raises(UnsupportedReadError, match='text="allow"'):
        past.execute(text("SELECT name FROM tags"))
    with pytest.raises(UnsupportedReadError, match="functions="):
        past.execute(select(func.count_tags()))
    with pytest.raises(UnversionedTableError, match='unversioned="allow"'):
        past.get(Setting, 1)


def test_text_that_is_only_a_name_is_no_danger(past: AsOfSession) -> None:
    statement = select(Tag.name, literal_column("1"), literal_column("'x'")).order_by(
        text("name DESC NULLS LAST")
    )
    assert past.execute(statement).all()[0] == ("red", 1, "x")


class TestAllowed:
    def test_text_runs_as_it_is(self, allowing: AsOfSession) -> None:
        assert allowing.execute(text("SELECT 1 + 1")).scalar() == 2
        assert allowing.execute(text("SELECT name FROM tags WHERE id = 2")).scalar() == "lime"

    def test_versioned_tables_beside_text_are_still_of_the_past(
        self, allowing: AsOfSession
    ) -> None:
        statement = select(Tag.name).where(text("length(name) > 0"), Tag.id == 2)
        assert allowing.scalar(statement) == "green"

    def test_entities_from_text_are_what_the_text_says(self, allowing: AsOfSession) -> None:
        statement = select(Tag).from_statement(text("SELECT 2 AS id, 'said' AS name"))
        assert allowing.scalars(statement).one().name == "said"

    def test_lightweight_tables_and_custom_constructs(self, allowing: AsOfSession) -> None:
        assert allowing.scalar(select(tags.c.name).where(tags.c.id == 2)) == "lime"
        assert allowing.scalar(select(two())) == 3

    def test_functions_named_as_harmless(self, both: Zoo) -> None:
        with Session(both.engine) as session:
            session.execute(
                text("CREATE FUNCTION shout(t text) RETURNS text LANGUAGE sql RETURN upper(t)")
            )
            with as_of(session, both.first, functions={"shout"}) as past:
                assert past.scalar(select(func.shout(Tag.name)).where(Tag.id == 2)) == "GREEN"
                with pytest.raises(UnsupportedReadError):
                    past.scalar(select(func.whisper(Tag.name)))


class TestTables:
    def test_unversioned_entity(self, past: AsOfSession) -> None:
        with pytest.raises(UnversionedTableError, match="settings"):
            past.get(Setting, 1)

    def test_unversioned_table_anywhere(self, past: AsOfSession) -> None:
        setting: Any = Setting.__table__
        for statement in (
            select(setting),
            select(Customer.id).join(setting, setting.c.id == Customer.id),
            select(Customer.id).where(Customer.id.in_(select(setting.c.id))),
            select(setting.alias().c.id),
            select(select(setting.c.id).cte("c")),
            select(select(setting.c.id).scalar_subquery()),
            select(Customer.id).union(select(setting.c.id)),
            select(Customer.id).where(select(setting).exists()),
        ):
            with pytest.raises(UnversionedTableError, match="settings"):
                past.execute(statement)

    def test_allowed_only_for_this_session(self, both: Zoo) -> None:
        statement = select(Setting.value)
        with Session(both.engine) as session:
            for _ in range(2):
                with as_of(session, both.first, unversioned="allow") as past:
                    assert past.scalar(statement) == "new"
                with as_of(session, both.first) as past, pytest.raises(UnversionedTableError):
                    past.scalar(statement)

    def test_views_and_catalogs_have_no_history(self, past: AsOfSession) -> None:
        view = Table("pg_class", MetaData(), schema="pg_catalog")
        with pytest.raises(UnversionedTableError):
            past.execute(select(column("oid")).select_from(view))

    def test_history_is_read_as_it_is(self, both: Zoo, past: AsOfSession) -> None:
        table_: Any = Tag.__table__
        statement = select(func.count()).select_from(history_table(table_))
        with Session(both.engine) as session:
            assert past.scalar(statement) == session.scalar(statement) == 1

    def test_the_commits_are_read_as_they_are(self, both: Zoo, past: AsOfSession) -> None:
        commits = system_tables("temporal_versioning").transaction
        assert past.scalar(select(func.count()).select_from(commits)) > 1

    def test_tablesample(self, past: AsOfSession) -> None:
        with pytest.raises(UnsupportedReadError, match="TABLESAMPLE"):
            past.scalars(select(aliased(Customer, tablesample(Customer, 50)))).all()

    def test_schema_translate_map(self, past: AsOfSession) -> None:
        with pytest.raises(UnsupportedReadError, match="schema_translate_map"):
            past.execute(
                select(Tag.id), execution_options={"schema_translate_map": {None: "sales"}}
            )

    def test_schema_translate_map_of_other_schemas(self, past: AsOfSession) -> None:
        options = {"schema_translate_map": {"other": "sales"}}
        assert past.execute(select(Tag.name).where(Tag.id == 2), execution_options=options).scalar()

    def test_locking_in_every_place(self, past: AsOfSession) -> None:
        for statement in (
            select(Customer).with_for_update(read=True, skip_locked=True),
            select(select(Customer.id).with_for_update().subquery()),
        ):
            with pytest.raises(ReadOnlyPastError, match="locked"):
                past.execute(statement)

    def test_sequences(self, past: AsOfSession) -> None:
        from sqlalchemy import Sequence

        for statement in (select(Sequence("s").next_value()), Sequence("s")):
            with pytest.raises(ReadOnlyPastError):
                past.execute(statement)

    def test_ddl(self, past: AsOfSession) -> None:
        from sqlalchemy.schema import CreateTable

        table_: Any = Tag.__table__
        with pytest.raises(ReadOnlyPastError):
            past.execute(CreateTable(table_))


def test_custom_constructs_of_from(past: AsOfSession) -> None:
    class view(FromClause):  # noqa: N801 - named like a table
        inherit_cache = True

    @compiles(view)
    def render(element: Any, compiler: Any, **kw: Any) -> str:
        return "tags"

    with pytest.raises(UnsupportedReadError, match="view"):
        past.execute(select(column("id")).select_from(view()))


def test_generic_functions_registered_by_the_application(past: AsOfSession) -> None:
    class my_total(GenericFunction[int]):  # noqa: N801 - named like a function
        inherit_cache = True
        type = Integer()

    with pytest.raises(UnsupportedReadError, match="my_total"):
        past.execute(select(my_total(Customer.id)))


def test_every_relationship_of_the_zoo_loads_in_every_way(past: AsOfSession) -> None:
    for option in (joinedload, selectinload):
        for entity in (Customer, Order, Address, Employee):
            options = [option(r.class_attribute) for r in entity.__mapper__.relationships
                       if r.lazy not in ("dynamic", "write_only")]  # fmt: skip
            assert past.scalars(select(entity).options(*options)).unique().all()


def test_the_history_entity_in_a_session_of_the_past(both: Zoo, past: AsOfSession) -> None:
    names = [version.name for version in past.scalars(select(history_of(Tag)))]
    assert set(names) >= {"green", "lime"}
