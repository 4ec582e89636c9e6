"""One object's versions are reached by indexes, however many rows and versions there are."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, event, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import Versions, versions_of


class Base(DeclarativeBase):
    pass


class Counter(Versioned, Base):
    __tablename__ = "counters"
    id: Mapped[int] = mapped_column(primary_key=True)
    value: Mapped[int]


@pytest.fixture
def session(pg_engine: Engine) -> Iterator[Session]:
    """2,000 counters; number 7 has 300 versions, the others 4."""
    Base.metadata.create_all(pg_engine)
    autocommit = pg_engine.execution_options(isolation_level="AUTOCOMMIT")
    with autocommit.connect() as connection:
        connection.execute(text("INSERT INTO counters SELECT g, 0 FROM generate_series(1, 2000) g"))
        for value in (1, 2, 3):
            connection.execute(text("UPDATE counters SET value = :v"), {"v": value})
        for value in range(296):
            connection.execute(text("UPDATE counters SET value = :v WHERE id = 7"), {"v": value})
        connection.execute(text("ANALYZE"))
    with Session(pg_engine) as session:
        yield session


@pytest.fixture
def plans(session: Session) -> Iterator[list[str]]:
    """The plans of the statements executed."""
    found: list[str] = []
    connection = session.connection()

    def note(_: object, cursor: object, statement: str, parameters: object, *__: object) -> None:
        explained = connection.connection.cursor()
        explained.execute(f"EXPLAIN {statement}", parameters)
        found.append("\n".join(str(row[0]) for row in explained.fetchall()))

    event.listen(connection, "before_cursor_execute", note)
    yield found
    event.remove(connection, "before_cursor_execute", note)


@pytest.mark.parametrize(
    "use",
    [
        len,
        list,
        lambda versions: versions[0],
        lambda versions: versions[-1],
        lambda versions: versions[-5:],
        lambda versions: versions[100].previous,
        lambda versions: versions[100].next,
        lambda versions: versions[100].index,
        lambda versions: versions[100].changeset,
        lambda versions: versions[100].ended_by,
    ],
    ids=["len", "list", "0", "-1", "-5:", "previous", "next", "index", "changeset", "ended_by"],
)
def test_no_table_is_scanned(
    session: Session, plans: list[str], use: Callable[[Versions[object]], object]
) -> None:
    use(versions_of(session, Counter, 7))
    assert plans
    for plan in plans:
        assert "Seq Scan on counters" not in plan, plan


def test_versions_are_complete(session: Session) -> None:
    versions = versions_of(session, Counter, 7)
    assert len(versions) == 300
    assert [v.value for v in versions] == [0, 1, 2, 3, *range(296)]
    assert len(versions_of(session, Counter, 8)) == 4


def test_neighbours_of_a_page_need_no_statement(session: Session, plans: list[str]) -> None:
    versions = list(versions_of(session, Counter, 7))
    plans.clear()
    changes = [version.changeset for version in versions[1:]]
    assert len(changes) == 299
    assert all(version.operation == "UPDATE" for version in versions[1:])
    assert plans == []
