"""Constructs of Core by which a statement reaches a table, or might reach one unseen."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import (
    ARRAY,
    Date,
    Engine,
    Integer,
    MetaData,
    Sequence,
    Table,
    Text,
    UnaryExpression,
    alias,
    bindparam,
    case,
    cast,
    column,
    create_engine,
    event,
    exists,
    extract,
    func,
    insert,
    join,
    label,
    lambda_stmt,
    literal,
    literal_column,
    quoted_name,
    select,
    table,
    text,
    true,
    type_coerce,
    union_all,
    update,
    values,
)
from sqlalchemy.ext.compiler import compiles, deregister
from sqlalchemy.orm import Bundle, Session, aliased
from sqlalchemy.sql.expression import ColumnElement
from sqlalchemy.sql.operators import custom_op
from sqlalchemy.types import UserDefinedType

from sqlalchemy_temporal.errors import (
    ReadOnlyPastError,
    TemporalError,
    UnsupportedReadError,
    UnversionedTableError,
)
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.session import AsOfSession
from tests.reading.asking import assert_as_it_was, rows
from tests.reading.conftest import Zoo
from tests.reading.zoo import Base, Customer, Item, Node, Order, Question, Tag, order_tags

questions: dict[str, Question] = {}
tags: Any = Tag.__table__
customers: Any = Customer.__table__


def question(function: Question) -> Question:
    """Register a question under its name."""
    questions[function.__name__] = function
    return function


@question
def join_constructs(s: Session) -> Any:
    both = join(tags, order_tags, order_tags.c.tag_id == tags.c.id)
    nested = both.join(Order.__table__, Order.id == order_tags.c.order_id)
    right = join(Order.__table__, both, order_tags.c.order_id == Order.id)
    return [
        sorted(rows(s, select(tags.c.name).select_from(f)), key=str) for f in (both, nested, right)
    ]


@question
def subquery_of_a_join(s: Session) -> Any:
    inner = select(tags.c.name, order_tags.c.order_id).join_from(tags, order_tags).subquery()
    return sorted(
        rows(s, select(inner.c.name, Order.status).join(Order, Order.id == inner.c.order_id))
    )


@question
def select_without_columns_of_its_from(s: Session) -> Any:
    return (
        rows(s, select(literal(1)).select_from(tags)),
        rows(s, select(func.count(literal_column("*"))).select_from(tags)),
        rows(s, select(literal_column("tags.name")).select_from(tags).order_by(text("1"))),
        rows(s, select(text("name")).select_from(tags).order_by(text("name DESC"))),
    )


@question
def correlated_in_every_clause(s: Session) -> Any:
    number = select(func.count()).where(order_tags.c.tag_id == tags.c.id).scalar_subquery()
    return (
        rows(s, select(tags.c.name, number).order_by(number, tags.c.id)),
        rows(
            s,
            select(tags.c.id, number.label("n"))
            .group_by(tags.c.id)
            .having(number > 0)
            .order_by("n", tags.c.id),
        ),
        sorted(
            rows(
                s,
                select(tags.c.id).where(tags.c.id > select(func.min(tags.c.id)).scalar_subquery()),
            )
        ),
        rows(
            s,
            select(tags.c.id)
            .order_by(tags.c.id)
            .limit(select(func.count()).select_from(tags).scalar_subquery()),
        ),
    )


@question
def aliases_of_every_kind(s: Session) -> Any:
    one, two = alias(tags, "one"), tags.alias()
    third = alias(one, "third")
    return (
        rows(s, select(one.c.name, two.c.id).join(two, two.c.id == one.c.id).order_by(two.c.id)),
        rows(s, select(third.c.name).where(third.c.id == 2)),
        rows(s, select(one.c.name).where(one.c.id == 2)),
    )


@question
def lateral_and_table_values(s: Session) -> Any:
    best = (
        select(Item.price)
        .where(Item.order_id == Order.id)
        .order_by(Item.price.desc())
        .limit(1)
        .lateral("best")
    )
    labels = func.unnest(Customer.labels).table_valued("label").render_derived(name="l").lateral()
    keys = func.jsonb_each_text(Customer.extra).table_valued("key", "value", name="e")
    given = values(column("k", Integer), name="given").data([(1,), (4,)]).alias("g")
    return (
        rows(s, select(Order.id, best.c.price).outerjoin(best, true()).order_by(Order.id)),
        rows(
            s,
            select(Customer.id, labels.c.label)
            .join(labels, true())
            .order_by(Customer.id, labels.c.label),
        ),
        rows(s, select(Customer.id, keys.c.value).join(keys, true()).order_by(Customer.id)),
        rows(
            s, select(given.c.k).where(exists().where(Customer.id == given.c.k)).order_by(given.c.k)
        ),
        rows(
            s,
            select(
                func.unnest(
                    func.array(select(Tag.name).order_by(Tag.id).scalar_subquery())
                ).column_valued("x")
            ),
        ),
    )


@question
def ctes_of_every_shape(s: Session) -> Any:
    first = select(tags).where(tags.c.id < 3).cte("first")
    second = select(first.c.id).union_all(select(tags.c.id).where(tags.c.id == 3)).cte("second")
    hidden = select(Node.id).cte("hidden")
    beside = select(tags.c.name).add_cte(hidden).where(tags.c.id.in_(select(second.c.id)))
    return (
        sorted(rows(s, beside)),
        rows(s, select(func.count()).select_from(second)),
        sorted(rows(s, select(first.alias("again").c.name))),
        rows(s, select(select(second.c.id).order_by(second.c.id).limit(1).scalar_subquery())),
    )


@question
def recursion_over_a_whole_entity(s: Session) -> Any:
    top = select(Node).where(Node.parent_id.is_(None)).cte("tree", recursive=True)
    tree = top.union_all(select(Node).join(top, Node.parent_id == top.c.id))
    entity = aliased(Node, tree)
    return [n.name for n in s.scalars(select(entity).order_by(entity.id))]


@question
def compound_selects_of_compound_selects(s: Session) -> Any:
    a, b, c = (select(tags.c.id, tags.c.name).where(tags.c.id == n) for n in (1, 2, 3))
    nested = union_all(a, union_all(b, c)).order_by("id").limit(3)
    return (
        rows(s, nested),
        sorted(rows(s, select(a.union(b).subquery()))),
        rows(s, a.union_all(b.intersect(b)).order_by(text("id"))),
    )


@question
def casts_labels_and_coercions(s: Session) -> Any:
    statement = select(
        cast(Customer.credit, Text), type_coerce(Customer.id, Integer), label("x", Customer.x + 1),
        extract("year", cast(literal("2024-01-01"), Date)),
        func.array_length(Customer.labels, 1), Customer.labels[1],
        cast(Customer.labels, ARRAY(Text)),
    ).order_by(Customer.id)  # fmt: skip
    return rows(s, statement)


@question
def operators_as_symbols_and_words(s: Session) -> Any:
    return (
        rows(s, select(Tag.name.op("||")("!"), Tag.id.op("+")(1)).order_by(Tag.id)),
        rows(s, select(Tag.id).where(Tag.name.op("~")("^g")).order_by(Tag.id)),
        rows(s, select(Tag.id).where(Tag.name.op("IS DISTINCT FROM")("lime")).order_by(Tag.id)),
        rows(s, select(Tag.id).where(Tag.name.bool_op("similar to")("g%")).order_by(Tag.id)),
        rows(s, select(Tag.id).where(Tag.name.regexp_match("^[gl]")).order_by(Tag.id)),
        rows(s, select(Customer.extra.op("->>")("k")).order_by(Customer.id)),
        rows(s, select(UnaryExpression(Tag.id, operator=custom_op("-"))).order_by(Tag.id)),
    )


@question
def parameters_of_every_kind(s: Session) -> Any:
    return (
        s.execute(select(Tag.name).where(Tag.id == bindparam("k")), {"k": 2}).all(),
        s.execute(
            select(Tag.name).where(Tag.id.in_(bindparam("k", expanding=True))), {"k": [2]}
        ).all(),
        s.execute(select(Tag.name).where(Tag.id == bindparam("k", 2, literal_execute=True))).all(),
        s.scalars(
            select(Tag.name).order_by(Tag.id).limit(bindparam("n")).offset(1), {"n": 1}
        ).all(),
        s.execute(select(Tag.name).order_by(Tag.id).fetch(2, with_ties=True)).all(),
    )


@question
def lambdas(s: Session) -> Any:
    found = []
    for key in (1, 2, 3):
        statement = lambda_stmt(lambda: select(tags.c.name))
        statement += lambda st: st.where(tags.c.id == key)  # noqa: B023
        found.append(
            (s.execute(statement).scalar(), s.scalars(statement).all(), s.scalar(statement))
        )
    return found


@question
def executed_through_the_connection(s: Session) -> Any:
    connection = s.connection()
    statement = select(tags.c.name).order_by(tags.c.id)
    return (
        connection.scalars(statement).all(),
        connection.scalar(statement),
        connection.execute(statement, execution_options={"stream_results": True}).all(),
        [
            list(part)
            for part in connection.execute(statement, execution_options={"yield_per": 2})
            .scalars()
            .partitions()
        ],
        connection.execution_options(stream_results=True, max_row_buffer=1)
        .execute(statement)
        .all(),
    )


@pytest.mark.parametrize("name", list(questions))
def test_as_it_was(both: Zoo, name: str) -> None:
    assert_as_it_was(both, questions[name])


# ------------------------------------------------------------------------------------ refused


class Query(UserDefinedType[int]):
    """A type whose SQL is a query."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "integer) + (SELECT count(*) FROM tags"


Ask = Callable[[AsOfSession], Any]


@pytest.fixture
def past(both: Zoo) -> Iterator[AsOfSession]:
    with Session(both.engine) as session, as_of(session, both.first) as past:
        yield past


UNSEEN: dict[str, Ask] = {
    "one_name_in_from": lambda p: p.execute(select(column("name")).select_from(text("tags"))),
    "one_quoted_name_in_from": lambda p: p.execute(
        select(text("name")).select_from(text('"public"."tags"'))
    ),
    "one_name_beside_a_table": lambda p: p.execute(
        select(literal_column("customers.id")).select_from(tags, text("customers"))
    ),
    "text_with_columns_in_from": lambda p: p.execute(
        select(text("TABLE tags").columns(column("id")).alias("x"))
    ),
    "text_with_columns_in_a_union": lambda p: p.execute(
        select(tags.c.id).union(text("SELECT id FROM customers").columns(column("id")))  # type: ignore[arg-type]
    ),
    "text_in_a_cte": lambda p: p.execute(
        select(text("SELECT id FROM tags").columns(column("id")).cte("c"))
    ),
    "text_in_group_by": lambda p: p.execute(
        select(func.count()).select_from(tags).group_by(text("(SELECT 1 FROM customers LIMIT 1)"))
    ),
    "text_in_a_window": lambda p: p.execute(
        select(func.count().over(order_by=text("(SELECT count(*) FROM customers)"))).select_from(
            tags
        )
    ),
    "text_in_a_function": lambda p: p.execute(
        select(func.coalesce(text("(SELECT max(id) FROM tags)"), 1))
    ),
    "text_in_values": lambda p: p.execute(
        select(values(column("k", Integer), name="v").data([(text("(SELECT max(id) FROM tags)"),)]))
    ),
    "literal_column_in_order_by": lambda p: p.execute(
        select(tags.c.id).order_by(literal_column("(SELECT count(*) FROM customers)"))
    ),
    "words_put_together": lambda p: p.execute(
        select(literal_column("name")).suffix_with("FROM").suffix_with("tags")
    ),
    "words_put_together_in_a_cte": lambda p: p.execute(
        select(select(literal(1).label("a")).cte("c").suffix_with("UNION").suffix_with("x"))
    ),
    "a_prefix_that_is_a_query": lambda p: p.execute(
        select(tags.c.id).prefix_with("1 FROM customers UNION SELECT")
    ),
    "an_operator_with_a_query": lambda p: p.execute(
        select(tags.c.id).where(tags.c.id.op("= 1 UNION SELECT id FROM customers WHERE 1 =")(1))
    ),
    "an_operator_with_a_from": lambda p: p.execute(
        select(literal(1).op("FROM customers WHERE 1 =")(1))
    ),
    "an_operator_with_a_comment": lambda p: p.execute(
        select(tags.c.id).where(tags.c.id.op("--")(1))
    ),
    "an_operator_before_its_operand": lambda p: p.execute(
        select(UnaryExpression(tags.c.id, operator=custom_op("(SELECT count(*) FROM tags) +")))
    ),
    "an_operator_after_its_operand": lambda p: p.execute(
        select(UnaryExpression(tags.c.id, modifier=custom_op("+ (SELECT count(*) FROM tags)")))
    ),
    "a_name_that_is_a_query": lambda p: p.execute(
        select(column(quoted_name("(SELECT count(*) FROM tags)", quote=False)))
    ),
    "a_label_that_is_a_query": lambda p: p.execute(
        select(tags.c.id.label(quoted_name("a, (SELECT count(*) FROM customers)", quote=False)))
    ),
    "an_alias_that_is_a_query": lambda p: p.execute(
        select(tags.alias(quoted_name("t, customers", quote=False)))
    ),
    "a_field_that_is_a_query": lambda p: p.execute(
        select(extract("year FROM now()) + (SELECT count(*) FROM tags) - (1", func.now()))  # type: ignore[arg-type]
    ),
    "a_type_that_is_a_query": lambda p: p.execute(select(cast(tags.c.id, Query()))),
    "a_hint_of_the_dialect": lambda p: p.execute(
        select(tags.c.id).with_hint(tags, "NATURAL JOIN customers", "postgresql")
    ),
    "a_hint_of_the_statement": lambda p: p.execute(
        select(tags.c.id).with_statement_hint("UNION SELECT id FROM customers", "postgresql")
    ),
    "a_function_of_the_application": lambda p: p.execute(select(func.app.count_tags())),
    "a_function_in_from": lambda p: p.execute(
        select(func.all_tags().table_valued("id", name="t").render_derived())
    ),
    "a_function_over_a_row": lambda p: p.execute(select(func.describe(tags.table_valued()))),
    "an_aggregate_of_the_application": lambda p: p.execute(
        select(func.my_total(tags.c.id).filter(tags.c.id > 1).over())
    ),
    "query_text": lambda p: p.query(Tag).from_statement(text("SELECT * FROM tags")).all(),
    "query_filter_text": lambda p: p.query(Tag).filter(text("id = (SELECT 1)")).all(),
    "a_lightweight_table_in_a_subquery": lambda p: p.execute(
        select(tags.c.id).where(tags.c.id.in_(select(table("tags", column("id")).c.id)))
    ),
}


@pytest.mark.parametrize("name", list(UNSEEN))
def test_what_may_read_the_present_unseen_is_refused(past: AsOfSession, name: str) -> None:
    with pytest.raises(UnsupportedReadError):
        UNSEEN[name](past)


class anything(ColumnElement[int]):  # noqa: N801 - named like an expression
    inherit_cache = True
    type = Integer()


@compiles(anything)
def _anything(element: Any, compiler: Any, **kw: Any) -> str:
    return "(SELECT count(*) FROM tags)"


PLACES: dict[str, Callable[[], Any]] = {
    "limit": lambda: select(tags.c.id).limit(anything()),
    "limit_of_a_union": lambda: union_all(select(tags.c.id), select(tags.c.id)).limit(anything()),
    "order_of_a_union": lambda: union_all(select(tags.c.id), select(tags.c.id)).order_by(
        anything()
    ),
    "in": lambda: select(tags.c.id).where(tags.c.id.in_([anything()])),
    "case": lambda: select(case((tags.c.id == 1, anything()), else_=0)),
    "function": lambda: select(func.coalesce(anything(), 1)),
    "window": lambda: select(func.count().over(partition_by=anything())).select_from(tags),
    "filter": lambda: select(func.count().filter(anything() > 1)).select_from(tags),
    "join": lambda: select(tags.c.id).join(customers, customers.c.id == anything()),
    "cte": lambda: select(select(anything().label("a")).cte()),
    "exists": lambda: select(exists(select(anything())).label("e")),
    "lateral": lambda: select(select(anything().label("a")).lateral()),
    "values": lambda: select(values(column("k", Integer), name="v").data([(anything(),)])),
    "scalar_values": lambda: select(
        values(column("k", Integer), name="v").data([(anything(),)]).scalar_values()
    ),
    "table_valued": lambda: select(func.generate_series(1, anything()).table_valued("n")),
    "having": lambda: select(tags.c.id).group_by(tags.c.id).having(anything() > 1),
    "cast": lambda: select(cast(anything(), Text)),
    "label": lambda: select(anything().label("x")),
    "bundle": lambda: select(Bundle("b", Tag.id, anything())),
    "from_statement": lambda: select(Tag).from_statement(
        select(tags.c.id, anything().label("name"))
    ),
}


@pytest.mark.parametrize("place", list(PLACES))
def test_constructs_of_the_application_are_found_everywhere(past: AsOfSession, place: str) -> None:
    with pytest.raises(UnsupportedReadError, match="renders SQL of its own"):
        past.execute(PLACES[place]()).all()


TEXTS_THAT_WRITE = (
    "INSERT INTO tags VALUES (9, 'x')",
    "/* SELECT */ DELETE FROM tags",
    "-- SELECT\n UPDATE tags SET name = 'x'",
    "WITH gone AS (DELETE FROM tags RETURNING id) SELECT id FROM gone",
    "SELECT 1; DROP TABLE tags",
    "SELECT id FROM tags FOR UPDATE",
    "TRUNCATE tags",
    "SELECT id INTO TABLE other FROM tags",
)


@pytest.mark.parametrize("written", TEXTS_THAT_WRITE)
def test_text_that_is_allowed_may_not_write(both: Zoo, written: str) -> None:
    with Session(both.engine) as session, as_of(session, both.first, text="allow") as past:
        for statement in (
            text(written),
            text(written).columns(column("id")),
            select(Tag).from_statement(text(written)),
        ):
            with pytest.raises(ReadOnlyPastError):
                past.execute(statement)


@pytest.mark.parametrize(
    "written",
    [
        "SELECT 2",
        "/* a */ (SELECT 2)",
        "WITH a AS (SELECT 2) TABLE a",
        "VALUES (2);",
        "select 2 -- x",
    ],
)
def test_text_that_is_allowed_may_read(both: Zoo, written: str) -> None:
    with Session(both.engine) as session, as_of(session, both.first, text="allow") as past:
        assert past.scalar(text(written)) == 2


WRITES: dict[str, Ask] = {
    "a_cte_that_inserts": lambda p: p.execute(
        select(insert(tags).values(id=9, name="x").returning(tags.c.id).cte("i"))
    ),
    "a_cte_that_updates_beside": lambda p: p.execute(
        select(customers.c.id).add_cte(update(tags).values(name="x").returning(tags.c.id).cte("u"))
    ),
    "insert_from_select": lambda p: p.execute(
        insert(tags).from_select(["id", "name"], select(customers.c.id, customers.c.customer_name))
    ),
    "a_sequence": lambda p: p.scalar(select(Sequence("s").next_value())),
    "a_sequence_itself": lambda p: p.scalar(Sequence("s")),  # type: ignore[call-overload]
    "a_table": lambda p: Base.metadata.create_all(p.connection()),
}


@pytest.mark.parametrize("name", list(WRITES))
def test_writes_in_disguise_are_refused(past: AsOfSession, name: str) -> None:
    with pytest.raises(ReadOnlyPastError):
        WRITES[name](past)


def test_a_compilation_of_the_applications_own_for_a_class_of_sqlalchemy(past: AsOfSession) -> None:
    def render(element: Any, compiler: Any, **kw: Any) -> str:
        return "tags"

    compiles(Table)(render)
    try:
        with pytest.raises(UnsupportedReadError, match="renders SQL of its own"):
            past.execute(select(tags.c.name))
    finally:
        deregister(Table)


def test_a_table_of_the_same_name_without_history(past: AsOfSession) -> None:
    other = Table("tags", MetaData(), *(c._copy() for c in tags.columns))
    with pytest.raises(UnversionedTableError):
        past.execute(select(other))


class TestConnection:
    def test_nothing_leads_to_the_present_connection(self, past: AsOfSession) -> None:
        connection: Any = past.connection()
        with pytest.raises(UnsupportedReadError):
            connection.exec_driver_sql("SELECT name FROM tags")
        with pytest.raises(TemporalError):
            _ = connection.connection
        for name in ("begin", "begin_nested", "begin_twophase", "commit", "rollback", "close",
                     "invalidate", "detach"):  # fmt: skip
            with pytest.raises(ReadOnlyPastError):
                getattr(connection, name)()

    def test_options_of_every_execution(self, both: Zoo, past: AsOfSession) -> None:
        connection = past.connection(execution_options={"yield_per": 2})
        result = connection.execute(select(tags.c.name).order_by(tags.c.id))
        assert [len(part) for part in result.partitions()] == [2, 1]
        assert not connection.closed
        assert not connection.in_nested_transaction()

    def test_an_isolation_level_is_the_transactions(self, past: AsOfSession) -> None:
        with pytest.raises(ReadOnlyPastError, match="isolation"):
            past.connection(execution_options={"isolation_level": "SERIALIZABLE"})

    def test_schema_translation_of_the_engine(self, both: Zoo) -> None:
        engine = both.engine.execution_options(schema_translate_map={None: "sales"})
        with (
            Session(engine) as session,
            as_of(session, both.first) as past,
            pytest.raises(UnsupportedReadError, match="schema_translate_map"),
        ):
            past.execute(select(tags))

    def test_schema_translation_of_the_history(self, past: AsOfSession) -> None:
        options = {"schema_translate_map": {"temporal_versioning": "sales"}}
        with pytest.raises(UnsupportedReadError, match="schema_translate_map"):
            past.execute(select(tags), execution_options=options)


class TestHooks:
    """What runs between a session and the database may not lose the moment."""

    @pytest.fixture
    def engine(self, both: Zoo) -> Iterator[Engine]:
        engine = create_engine(both.url)
        yield engine
        engine.dispose()

    def test_that_change_a_statement_are_followed(self, both: Zoo, engine: Engine) -> None:
        @event.listens_for(engine, "before_execute", retval=True)
        def only_the_second(
            _c: Any, statement: Any, many: Any, params: Any, _options: Any
        ) -> tuple[Any, Any, Any]:
            if statement.is_select and tags in statement.get_final_froms():
                statement = statement.where(tags.c.id == 2)
            return statement, many, params

        with Session(engine) as session, as_of(session, both.first) as past:
            assert past.scalars(select(tags.c.name)).all() == ["green"]

    def test_that_replace_a_statement_are_refused(self, both: Zoo, engine: Engine) -> None:
        @event.listens_for(engine, "before_execute", retval=True)
        def replaced(
            _c: Any, statement: Any, many: Any, params: Any, _options: Any
        ) -> tuple[Any, Any, Any]:
            if statement.is_select and tags in statement.get_final_froms():
                statement = select(tags.c.name).where(tags.c.id == 2)
            return statement, many, params

        with Session(engine) as session, as_of(session, both.first) as past:
            with pytest.raises(UnsupportedReadError, match="before_execute"):
                past.scalars(select(tags.c.name)).all()
            with pytest.raises(UnsupportedReadError, match="before_execute"):
                past.scalars(select(Tag)).all()
