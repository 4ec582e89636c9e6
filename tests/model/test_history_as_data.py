"""``versions_between()`` and ``count_versions()``: versions of a time, page by page."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations_with_replacement, pairwise
from typing import Any

import pytest
from sqlalchemy import Engine, ForeignKey, event, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from sqlalchemy_temporal.clock.describe import describe
from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import (
    BeforeVersioningError,
    ConfigurationError,
    FutureMomentError,
    MomentError,
    NaiveDatetimeError,
    UnknownOptionError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.model.between import count_versions, versions_between
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import versions_of
from sqlalchemy_temporal.reading.as_of import as_of


class Base(DeclarativeBase):
    pass


class Product(Versioned, Base):
    __tablename__ = "products"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    price: Mapped[int]


class Word(Versioned, Base):
    """Has attributes that the views' methods are named after."""

    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)
    between: Mapped[int]
    attribute: Mapped[int]
    blame: Mapped[int]


class Employee(Versioned, Base):
    __tablename__ = "employees"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str]
    name: Mapped[str]
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "employee"}


class Engineer(Employee):
    __tablename__ = "engineers"
    id: Mapped[int] = mapped_column(ForeignKey("employees.id"), primary_key=True)
    language: Mapped[str]
    __mapper_args__ = {"polymorphic_identity": "engineer"}


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


def run(session: Session, *statements: str, **said: Any) -> Moment:
    """Run ``statements`` as one transaction, described as ``said``; the moment after it."""
    connection = session.connection()
    if said:
        describe(connection, **said)
    for statement in statements:
        connection.execute(text(statement))
    session.commit()
    moment = resolve(session.connection(), "HEAD")
    session.commit()
    return moment


@pytest.fixture
def m(session: Session) -> list[Moment]:
    """The moments after the commits of a small shop; ``m[0]`` is before any of them."""
    return [
        run(session, "INSERT INTO words VALUES (0, 0, 0, 0)"),
        run(
            session,
            "INSERT INTO products VALUES (1, 'lamp', 10), (2, 'chair', 20)",
            author="ana",
            message="Open 100% of the shop",
            context={"request": "r-1", "user": {"id": 7, "role": "owner"}},
        ),
        run(session, "UPDATE products SET price = 11 WHERE id = 1", author="bea", message="Rise"),
        run(
            session,
            "UPDATE products SET price = price + 1",
            author="ana",
            message="Rise again",
            context={"request": "r-3"},
        ),
        run(session, "DELETE FROM products WHERE id = 2", author="bea", message="No chairs"),
        run(session, "INSERT INTO products VALUES (2, 'chair', 30)"),
    ]


def shown(versions: Any) -> list[tuple[int, int]]:
    return [(version.id, version.price) for version in versions]


@pytest.fixture
def statements(any_engine: Engine) -> list[str]:
    """The statements executed."""
    found: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        found.append(statement)

    event.listen(any_engine, "before_cursor_execute", note)
    return found


ALL = [(1, 10), (2, 20), (1, 11), (1, 12), (2, 21), (2, 30)]


class TestMade:
    def test_without_bounds_it_is_everything(self, session: Session, m: list[Moment]) -> None:
        assert shown(versions_between(session, Product)) == ALL

    def test_the_start_is_excluded_and_the_end_included(
        self, session: Session, m: list[Moment]
    ) -> None:
        assert shown(versions_between(session, Product, m[1], m[3])) == ALL[2:5]
        assert shown(versions_between(session, Product, m[3])) == ALL[5:]
        assert shown(versions_between(session, Product, None, m[2])) == ALL[:3]
        assert shown(versions_between(session, Product, m[2], m[2])) == []

    def test_consecutive_ranges_share_nothing_and_miss_nothing(
        self, session: Session, m: list[Moment]
    ) -> None:
        parts = [versions_between(session, Product, start, end) for start, end in pairwise(m)]
        assert shown(version for part in parts for version in part) == ALL

    def test_a_version_that_has_ended_since_is_there(
        self, session: Session, m: list[Moment]
    ) -> None:
        (version,) = versions_between(session, Product, m[1], m[2])
        assert (version.price, version.ended_by) == (11, "UPDATE")

    def test_objects_are_versions(self, session: Session, m: list[Moment]) -> None:
        versions = versions_between(session, Product)
        assert {type(version) for version in versions} == {Product.History}
        assert versions[2].previous is versions[0]
        assert versions[3].changeset["price"] == (11, 12)
        assert versions[5].operation == "INSERT"

    def test_commits_are_read_together(
        self, session: Session, m: list[Moment], statements: list[str]
    ) -> None:
        versions = versions_between(session, Product)
        statements.clear()
        authors = [version.commit and version.commit.author for version in versions]
        assert authors == ["ana", "ana", "bea", "ana", "ana", None]
        assert len(statements) == 1

    def test_changesets_are_read_together(
        self, session: Session, m: list[Moment], statements: list[str]
    ) -> None:
        versions = versions_between(session, Product, newest_first=True)
        statements.clear()
        prices = [version.changeset.get("price") for version in versions]
        assert prices == [(None, 30), (20, 21), (11, 12), (10, 11), (None, 20), (None, 10)]
        assert len(statements) == 2  # all versions that were replaced; what was purged
        with as_of(session, m[3]) as past:
            versions = versions_between(past, Product, m[2])
            assert [v.changeset["price"] for v in versions] == [(11, 12), (20, 21)]

    def test_own_changes_belong_to_a_range_without_end(
        self, session: Session, m: list[Moment]
    ) -> None:
        session.get_one(Product, 1).price = 13
        assert shown(versions_between(session, Product, m[5])) == [(1, 13)]
        assert shown(versions_between(session, Product, m[4], m[5])) == ALL[5:]
        assert shown(versions_between(session, Product, m[5], "HEAD")) == []

    @pytest.mark.postgresql
    def test_a_lower_id_that_commits_later(
        self, session: Session, m: list[Moment], any_engine: Engine
    ) -> None:
        with Session(any_engine) as slow, Session(any_engine) as quick:
            slow.add(Product(id=9, name="takes its id", price=0))
            slow.flush()
            between = run(quick, "UPDATE products SET price = 13 WHERE id = 1")
            slow.get_one(Product, 1).price = 14
            slow.commit()
        after = resolve(session.connection(), "HEAD")
        assert shown(versions_between(session, Product, m[5], between)) == [(1, 13)]
        assert shown(versions_between(session, Product, between, after)) == [(1, 14), (9, 0)]
        assert shown(versions_between(session, Product, between)) == [(1, 14), (9, 0)]
        valid = versions_between(session, Product, between, which="valid")
        assert shown(valid) == [(2, 30), (1, 13), (1, 14), (9, 0)]
        (quick_one,) = versions_between(session, Product, m[5], between)
        assert quick_one.temporal_end_tx_id < quick_one.temporal_tx_id


class TestValid:
    def test_is_what_can_be_seen_as_of_some_moment_of_the_range(
        self, session: Session, m: list[Moment]
    ) -> None:
        states = []
        for moment in m:
            with as_of(session, moment) as past:
                states.append({(each.id, each.price) for each in past.query(Product)})
        for start, end in combinations_with_replacement(range(6), 2):
            seen = set().union(*states[start : end + 1])
            valid = versions_between(session, Product, m[start], m[end], which="valid")
            assert shown(valid) == [each for each in ALL if each in seen]
            assert count_versions(session, Product, m[start], m[end], which="valid") == len(seen)

    def test_one_that_ended_exactly_at_the_start_is_not(
        self, session: Session, m: list[Moment]
    ) -> None:
        assert (1, 10) not in shown(versions_between(session, Product, m[2], which="valid"))

    def test_without_start_it_is_what_was_made(self, session: Session, m: list[Moment]) -> None:
        assert shown(versions_between(session, Product, None, m[2], which="valid")) == ALL[:3]

    def test_filters_are_about_what_made_it_whenever(
        self, session: Session, m: list[Moment]
    ) -> None:
        valid = versions_between(session, Product, m[2], m[3], which="valid", author="bea")
        assert shown(valid) == [(1, 11)]


class TestBounds:
    def test_every_way_to_name_a_moment(self, session: Session, m: list[Moment]) -> None:
        commit = versions_between(session, Product, m[2], m[3])[0].commit
        assert commit is not None
        for start in ("HEAD~2", commit, commit.uuid, str(commit.uuid), m[3], m[3].effective_at):
            assert shown(versions_between(session, Product, start)) == ALL[5:], start
        assert shown(versions_between(session, Product, timedelta(0))) == []
        assert shown(versions_between(session, Product, "HEAD~2", datetime.now(UTC))) == ALL[5:]

    def test_the_wrong_order(self, session: Session, m: list[Moment]) -> None:
        with pytest.raises(MomentError, match=r"start 'HEAD' .* is after end 'HEAD~1'"):
            versions_between(session, Product, "HEAD", "HEAD~1")

    def test_what_names_no_moment(self, session: Session, m: list[Moment]) -> None:
        with pytest.raises(BeforeVersioningError):
            versions_between(session, Product, datetime(2000, 1, 1, tzinfo=UTC))
        with pytest.raises(FutureMomentError):
            versions_between(session, Product, None, datetime(2999, 1, 1, tzinfo=UTC))
        with pytest.raises(NaiveDatetimeError):
            versions_between(session, Product, datetime(2024, 1, 1))  # noqa: DTZ001
        with pytest.raises(UnknownRevisionError):
            count_versions(session, Product, "nothing")


class TestFilters:
    def test_author(self, session: Session, m: list[Moment]) -> None:
        assert shown(versions_between(session, Product, author="bea")) == [(1, 11)]
        assert versions_between(session, Product, author="be") == []
        assert shown(versions_between(session, Product, m[1], author="ana")) == ALL[3:5]

    def test_message_contains(self, session: Session, m: list[Moment]) -> None:
        assert shown(versions_between(session, Product, message="Rise")) == ALL[2:5]
        assert versions_between(session, Product, message="rise") == []

    def test_message_has_no_wildcards(self, session: Session, m: list[Moment]) -> None:
        assert shown(versions_between(session, Product, message="100%")) == ALL[:2]
        assert versions_between(session, Product, message="R%e") == []
        assert versions_between(session, Product, message="R_se") == []

    def test_context_contains(self, session: Session, m: list[Moment]) -> None:
        by_user = versions_between(session, Product, context={"user": {"id": 7}})
        assert shown(by_user) == ALL[:2]
        assert versions_between(session, Product, context={"request": "r-2"}) == []

    def test_all_of_them_together(self, session: Session, m: list[Moment]) -> None:
        found = versions_between(
            session, Product, author="ana", message="Rise", context={"request": "r-3"}
        )
        assert shown(found) == ALL[3:5]
        assert versions_between(session, Product, author="bea", message="again") == []

    def test_values_without_meaning(self, session: Session, m: list[Moment]) -> None:
        wrong: Any
        for wrong in (
            {"operation": "MERGE"},
            {"which": "seen"},
            {"author": 7},
            {"message": b"x"},
            {"context": "x"},
        ):
            with pytest.raises(UnknownOptionError, match=next(iter(wrong))):
                count_versions(session, Product, **wrong)
        with pytest.raises(UnknownOptionError, match="limit"):
            versions_between(session, Product, limit=-1)


class TestOperations:
    def test_insert(self, session: Session, m: list[Moment]) -> None:
        inserted = versions_between(session, Product, operation="INSERT")
        assert shown(inserted) == [(1, 10), (2, 20), (2, 30)]

    def test_update(self, session: Session, m: list[Moment]) -> None:
        assert shown(versions_between(session, Product, operation="UPDATE")) == ALL[2:5]

    def test_they_are_those_of_the_versions(self, session: Session, m: list[Moment]) -> None:
        for version in versions_between(session, Product):
            same = versions_between(session, Product, operation=version.operation)  # type: ignore[arg-type]
            assert version in same

    def test_delete_gives_what_was_deleted(self, session: Session, m: list[Moment]) -> None:
        (gone,) = versions_between(session, Product, m[3], m[4], operation="DELETE")
        assert (gone.name, gone.price, gone.ended_by) == ("chair", 21, "DELETE")
        assert versions_between(session, Product, m[4], operation="DELETE") == []
        assert versions_between(session, Product, None, m[3], operation="DELETE") == []

    def test_delete_is_filtered_by_the_commit_that_deleted(
        self, session: Session, m: list[Moment]
    ) -> None:
        assert count_versions(session, Product, operation="DELETE", author="bea") == 1
        assert count_versions(session, Product, operation="DELETE", author="ana") == 0

    @pytest.mark.postgresql
    def test_truncate_is_a_deletion(self, session: Session, m: list[Moment]) -> None:
        run(session, "TRUNCATE products")
        gone = versions_between(session, Product, m[5], operation="DELETE")
        assert [(v.id, v.ended_by) for v in gone] == [(1, "TRUNCATE"), (2, "TRUNCATE")]

    def test_deleted_and_inserted_again_in_one_transaction_is_an_update(
        self, session: Session, m: list[Moment]
    ) -> None:
        run(session, "DELETE FROM products", "INSERT INTO products VALUES (1, 'lamp', 99)")
        assert shown(versions_between(session, Product, m[5], operation="UPDATE")) == [(1, 99)]
        assert shown(versions_between(session, Product, m[5], operation="INSERT")) == []
        assert shown(versions_between(session, Product, m[5], operation="DELETE")) == [(2, 30)]

    def test_uncommitted_deletions(self, session: Session, m: list[Moment]) -> None:
        session.delete(session.get_one(Product, 1))
        assert shown(versions_between(session, Product, m[5], operation="DELETE")) == [(1, 12)]
        assert shown(versions_between(session, Product, m[4], "HEAD", operation="DELETE")) == []


class TestPages:
    def test_limit_and_offset(self, session: Session, m: list[Moment]) -> None:
        pages = [versions_between(session, Product, limit=2, offset=at) for at in (0, 2, 4, 6)]
        assert [shown(page) for page in pages] == [ALL[:2], ALL[2:4], ALL[4:], []]

    def test_newest_first_is_the_exact_reverse(self, session: Session, m: list[Moment]) -> None:
        newest = versions_between(session, Product, newest_first=True)
        assert shown(newest) == ALL[::-1]
        assert shown(versions_between(session, Product, newest_first=True, limit=1)) == ALL[-1:]

    def test_count_is_of_all_pages(self, session: Session, m: list[Moment]) -> None:
        assert count_versions(session, Product) == 6
        assert count_versions(session, Product, m[1], m[3]) == 3
        assert count_versions(session, Product, author="ana", operation="INSERT") == 2


class TestOneObject:
    def test_by_the_object(self, session: Session, m: list[Moment]) -> None:
        lamp = session.get_one(Product, 1)
        assert shown(versions_between(session, lamp, m[1])) == [(1, 11), (1, 12)]
        assert count_versions(session, lamp, m[1]) == 2
        assert shown(versions_between(session, lamp, operation="INSERT")) == [(1, 10)]

    def test_by_its_versions(self, session: Session, m: list[Moment]) -> None:
        versions = session.get_one(Product, 1).versions
        assert shown(versions.between(m[1])) == [(1, 11), (1, 12)]
        assert shown(versions.between(None, m[2], newest_first=True, limit=1)) == [(1, 11)]
        assert shown(versions.between(m[2], m[2], which="valid")) == [(1, 11)]
        assert shown(versions.between(author="bea", operation="UPDATE")) == [(1, 11)]
        with pytest.raises(UnknownOptionError):
            versions.between(which="seen")  # type: ignore[arg-type]

    def test_by_a_key_of_something_deleted(self, session: Session, m: list[Moment]) -> None:
        versions = versions_of(session, Product, 2)
        assert shown(versions.between(None, m[4])) == [(2, 20), (2, 21)]
        assert shown(versions.between(operation="DELETE")) == [(2, 21)]
        assert shown(versions.between(operation="INSERT")) == [(2, 20), (2, 30)]

    def test_through_changes_of_its_key(self, session: Session, m: list[Moment]) -> None:
        run(session, "UPDATE products SET id = 5 WHERE id = 1")
        versions = versions_of(session, Product, 5, follow_key_changes=True)
        assert shown(versions.between(m[2])) == [(1, 12), (5, 12)]
        assert shown(versions.between(operation="INSERT")) == [(1, 10)]
        assert shown(versions.between(operation="DELETE")) == []
        assert versions.between(m[5])[0].previous.id == 1

    def test_one_that_was_never_written(self, session: Session, m: list[Moment]) -> None:
        assert versions_between(session, Product(id=9, name="x", price=0)) == []
        assert versions_of(session, Product, 9).between() == []

    def test_a_pending_one_is_flushed(self, session: Session, m: list[Moment]) -> None:
        product = Product(id=9, name="x", price=0)
        session.add(product)
        assert shown(versions_between(session, product)) == [(9, 0)]

    def test_attributes_of_the_users_own_names(self, session: Session, m: list[Moment]) -> None:
        word = session.get_one(Word, 0)
        word.between = 7
        session.commit()
        (version,) = word.versions.between(m[0])
        assert (version.between, version.attribute, version.blame) == (7, 0, 0)


class TestInThePast:
    def test_only_what_was_visible(self, session: Session, m: list[Moment]) -> None:
        with as_of(session, m[3]) as past:
            assert shown(versions_between(past, Product)) == ALL[:5]
            assert shown(versions_between(past, Product, m[2])) == ALL[3:5]
            assert shown(versions_between(past, Product, m[2], "HEAD")) == ALL[3:5]
            assert count_versions(past, Product, m[1]) == 3
            assert versions_between(past, Product)[4].temporal_end_tx_id is None

    def test_what_ended_later_had_not_ended(self, session: Session, m: list[Moment]) -> None:
        with as_of(session, m[3]) as past:
            assert versions_between(past, Product, operation="DELETE") == []
            assert count_versions(past, Product, m[3], m[3], which="valid") == 2
        with as_of(session, m[4]) as past:
            assert shown(versions_between(past, Product, operation="DELETE")) == [(2, 21)]

    def test_a_range_after_the_moment_is_empty(self, session: Session, m: list[Moment]) -> None:
        with as_of(session, m[3]) as past:
            assert versions_between(past, Product, m[4]) == []
            assert versions_between(past, Product, m[4], which="valid") == []
            assert count_versions(past, Product, m[4], m[5]) == 0

    def test_filters_and_commits(self, session: Session, m: list[Moment]) -> None:
        with as_of(session, m[3]) as past:
            by_ana = versions_between(
                past, Product, author="ana", message="Rise", context={"request": "r-3"}
            )
            assert [version.commit and version.commit.message for version in by_ana] == [
                "Rise again"
            ] * 2
            assert shown(versions_between(past, Product, operation="UPDATE")) == ALL[2:5]

    def test_one_object(self, session: Session, m: list[Moment]) -> None:
        with as_of(session, m[2]) as past:
            lamp = past.get_one(Product, 1)
            assert shown(lamp.versions.between(m[1])) == [(1, 11)]
            assert shown(versions_between(past, lamp)) == [(1, 10), (1, 11)]


class TestJoinedTables:
    @pytest.fixture
    def moments(self, session: Session) -> list[Moment]:
        return [
            run(session, "INSERT INTO words VALUES (0, 0, 0, 0)"),
            run(
                session,
                "INSERT INTO employees VALUES (1, 'engineer', 'Ana'), (2, 'engineer', 'Bea')",
                "INSERT INTO engineers VALUES (1, 'C'), (2, 'C')",
            ),
            run(session, "UPDATE engineers SET language = 'D' WHERE id = 1", author="x"),
            run(session, "UPDATE employees SET name = 'Cleo' WHERE id = 1"),
            run(
                session, "DELETE FROM engineers WHERE id = 2", "DELETE FROM employees WHERE id = 2"
            ),
        ]

    def test_a_change_in_either_table(self, session: Session, moments: list[Moment]) -> None:
        def between(start: int, end: int | None = None, **filters: Any) -> list[tuple[Any, ...]]:
            stop = None if end is None else moments[end]
            found = versions_between(session, Engineer, moments[start], stop, **filters)
            return [(v.id, v.name, v.language) for v in found]

        assert between(0, 1) == [(1, "Ana", "C"), (2, "Bea", "C")]
        assert between(1, 2) == [(1, "Ana", "D")]
        (change,) = versions_between(session, Engineer, moments[1], moments[2])
        assert change.changeset == {"language": ("C", "D")}
        assert between(2) == [(1, "Cleo", "D")]
        assert between(0, operation="INSERT") == [(1, "Ana", "C"), (2, "Bea", "C")]
        assert between(0, operation="UPDATE") == [(1, "Ana", "D"), (1, "Cleo", "D")]
        assert between(0, operation="DELETE") == [(2, "Bea", "C")]
        assert between(0, author="x") == [(1, "Ana", "D")]
        assert between(3, 3, which="valid") == [(2, "Bea", "C"), (1, "Cleo", "D")]


def test_what_has_no_history(session: Session) -> None:
    for source in (Note, Note(id=1), Product.History, 7, None):
        with pytest.raises(ConfigurationError):
            versions_between(session, source)


async def test_under_asyncio(async_pg_engine: AsyncEngine) -> None:
    async with async_pg_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with AsyncSession(async_pg_engine) as session:
        session.add(Product(id=1, name="lamp", price=10))
        await session.commit()
        found = await session.run_sync(
            lambda s: versions_between(s, Product, author=None, context=None, which="valid")
        )
        assert shown(found) == [(1, 10)]
        counted = await session.run_sync(
            lambda s: count_versions(s, Product, None, "HEAD", context={"a": 1})
        )
        assert counted == 0
