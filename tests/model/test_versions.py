"""``obj.versions`` and ``versions_of()``: the versions of one object, oldest first."""

import pickle
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Engine, delete, event, insert, select, text, update
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, make_transient, mapped_column

from sqlalchemy_temporal.clock.describe import describe
from sqlalchemy_temporal.errors import (
    ConfigurationError,
    DetachedObjectError,
    ReadOnlyPastError,
    TemporalError,
    UnsupportedReadError,
)
from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.history import history_of
from sqlalchemy_temporal.model.versions import (
    next_version,
    previous_version,
    version_index,
    versions_of,
    versions_of_object,
)


class Base(DeclarativeBase):
    pass


class Customer(Versioned, Base):
    __tablename__ = "customers"
    __versioned__ = {"exclude": ["last_seen"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    city: Mapped[str | None]
    last_seen: Mapped[str | None]


class Seat(Versioned, Base):
    __tablename__ = "seats"
    row: Mapped[int] = mapped_column("row_number", primary_key=True)
    column: Mapped[str] = mapped_column("letter", primary_key=True)
    guest: Mapped[str]


class Word(Versioned, Base):
    """Has an attribute for each name that versions use."""

    __tablename__ = "words"
    id: Mapped[int] = mapped_column(primary_key=True)
    index: Mapped[int]
    previous: Mapped[str | None]
    next: Mapped[str | None]
    operation: Mapped[str]
    commit: Mapped[str]
    changeset: Mapped[str]
    versions: Mapped[int]
    History: Mapped[str]


@pytest.fixture
def session(any_engine: Engine) -> Iterator[Session]:
    Base.metadata.create_all(any_engine)
    with Session(any_engine) as session:
        yield session


@pytest.fixture
def ana(session: Session) -> Customer:
    """A customer called Ana, then Bea, then Cleo of Rome."""
    customer = Customer(id=7, name="Ana", last_seen="today")
    session.add(customer)
    session.commit()
    customer.name = "Bea"
    session.commit()
    customer.name, customer.city = "Cleo", "Rome"
    session.commit()
    return customer


def names(versions: Sequence[Any]) -> list[str]:
    return [version.name for version in versions]


class TestView:
    def test_lists_all_versions_oldest_first(self, ana: Customer) -> None:
        assert names(ana.versions) == ["Ana", "Bea", "Cleo"]

    def test_is_a_sequence(self, ana: Customer) -> None:
        assert isinstance(ana.versions, Sequence)
        assert len(ana.versions) == 3
        assert ana.versions
        assert names(list(reversed(ana.versions))) == ["Cleo", "Bea", "Ana"]
        assert ana.versions[1] in ana.versions

    @pytest.mark.parametrize("index", [0, 1, 2, -1, -2, -3])
    def test_indexing(self, ana: Customer, index: int) -> None:
        assert ana.versions[index].name == ["Ana", "Bea", "Cleo"][index]

    @pytest.mark.parametrize("index", [3, -4])
    def test_an_index_out_of_range(self, ana: Customer, index: int) -> None:
        with pytest.raises(IndexError, match=str(index)):
            ana.versions[index]

    def test_slicing_is_that_of_a_list(self, ana: Customer) -> None:
        view, expected = ana.versions, ["Ana", "Bea", "Cleo"]
        ends = [None, 0, 1, 2, 5, -1, -2, -9]
        for wanted in (slice(a, b, c) for a in ends for b in ends for c in (None, 2, -1)):
            assert names(view[wanted]) == expected[wanted], wanted

    def test_sees_what_was_written_since(self, session: Session, ana: Customer) -> None:
        view = ana.versions
        assert len(view) == 3
        ana.name = "Dora"
        session.commit()
        assert len(view) == 4

    def test_other_objects_have_versions_of_their_own(
        self, session: Session, ana: Customer
    ) -> None:
        other = Customer(id=8, name="Zoe")
        session.add(other)
        session.commit()
        assert names(other.versions) == ["Zoe"]

    def test_composite_keys(self, session: Session) -> None:
        seats = [Seat(row=1, column="A", guest="Ana"), Seat(row=1, column="B", guest="Bea")]
        session.add_all(seats)
        session.commit()
        seats[1].guest = "Cleo"
        session.commit()
        assert [v.guest for v in seats[1].versions] == ["Bea", "Cleo"]
        assert [v.guest for v in seats[0].versions] == ["Ana"]


class TestUncommittedChanges:
    def test_are_the_last_version_for_the_session_that_made_them(
        self, session: Session, ana: Customer
    ) -> None:
        ana.name = "Dora"
        assert names(ana.versions) == ["Ana", "Bea", "Cleo", "Dora"]
        last = ana.versions[-1]
        assert last.temporal_commit_seq is None
        assert last.commit is None
        assert last.index == 3
        assert last.previous.name == "Cleo"
        assert last.previous.temporal_end_tx_id == last.temporal_tx_id
        assert last.previous.temporal_end_commit_seq is None
        assert last.changeset == {"name": Change("Cleo", "Dora")}

    def test_are_not_seen_by_others(
        self, session: Session, ana: Customer, any_engine: Engine
    ) -> None:
        ana.name = "Dora"
        session.flush()
        with Session(any_engine) as other:
            assert names(versions_of(other, Customer, 7)) == ["Ana", "Bea", "Cleo"]

    def test_several_changes_in_a_transaction_are_one_version(
        self, session: Session, ana: Customer
    ) -> None:
        for name in ("Dora", "Eva"):
            ana.name = name
            session.flush()
        assert names(ana.versions) == ["Ana", "Bea", "Cleo", "Eva"]

    def test_rolled_back_changes_leave_no_version(self, session: Session, ana: Customer) -> None:
        ana.name = "Dora"
        session.flush()
        session.rollback()
        assert names(ana.versions) == ["Ana", "Bea", "Cleo"]
        assert ana.versions[-1].temporal_end_tx_id is None

    def test_the_current_version_is_closed_by_the_next_change(
        self, session: Session, ana: Customer
    ) -> None:
        current = ana.versions[-1]
        assert current.temporal_end_tx_id is None
        assert current.next is None
        ana.name = "Dora"
        session.flush()
        assert ana.versions[2] is current
        assert current.temporal_operation == "UPDATE"
        assert current.next.name == "Dora"

    def test_a_pending_object_has_none_before_it_is_flushed(self, session: Session) -> None:
        customer = Customer(id=1, name="Ana")
        session.add(customer)
        with session.no_autoflush:
            assert len(customer.versions) == 0
            assert not customer.versions
            assert list(customer.versions) == []
        assert names(customer.versions) == ["Ana"]


class TestNeighbours:
    def test_previous_and_next(self, ana: Customer) -> None:
        first, second, third = (ana.versions[i] for i in range(3))
        assert [v and v.name for v in (first.previous, first.next)] == [None, "Bea"]
        assert [v and v.name for v in (second.previous, second.next)] == ["Ana", "Cleo"]
        assert [v and v.name for v in (third.previous, third.next)] == ["Bea", None]

    def test_index(self, ana: Customer) -> None:
        assert [version.index for version in ana.versions] == [0, 1, 2]

    def test_cross_a_deletion(self, session: Session, ana: Customer) -> None:
        session.delete(ana)
        session.commit()
        session.add(Customer(id=7, name="Ana the second"))
        session.commit()
        first, last = versions_of(session, Customer, 7)[2], versions_of(session, Customer, 7)[3]
        assert first.next is last
        assert last.previous is first
        session.expunge_all()
        last = versions_of(session, Customer, 7)[-1]
        assert last.previous.name == "Cleo"
        assert last.previous.next.name == "Ana the second"

    def test_of_a_version_from_the_users_own_query(self, session: Session, ana: Customer) -> None:
        history = Customer.History
        version = session.scalars(select(history).where(history.name == "Bea")).one()
        assert version.previous.name == "Ana"
        assert version.next.name == "Cleo"
        assert version.index == 1
        assert version.changeset == {"name": Change("Ana", "Bea")}

    def test_need_a_session_only_beyond_what_was_loaded(
        self, session: Session, ana: Customer
    ) -> None:
        versions = list(ana.versions)
        assert versions[0].commit is not None
        session.expunge_all()
        assert versions[1].previous is versions[0]
        assert versions[1].next is versions[2]
        assert versions[1].commit is not None
        with pytest.raises(DetachedObjectError, match=r"session\.add"):
            versions[0].previous  # noqa: B018


@pytest.mark.postgresql
class TestOrder:
    """Versions are ordered by commits; a lower transaction id may commit later."""

    @pytest.fixture
    def overtaken(self, session: Session, ana: Customer, any_engine: Engine) -> list[str]:
        with Session(any_engine) as slow, Session(any_engine) as quick:
            slow.add(Customer(id=100, name="takes its id"))
            slow.flush()
            quick.get_one(Customer, 7).name = "quick"
            quick.commit()
            slow.get_one(Customer, 7).name = "slow"
            slow.commit()
        return ["Ana", "Bea", "Cleo", "quick", "slow"]

    def test_is_that_of_the_commits(self, ana: Customer, overtaken: list[str]) -> None:
        versions = list(ana.versions)
        assert names(versions) == overtaken
        assert versions[4].temporal_tx_id < versions[3].temporal_tx_id
        assert ana.versions[-1].name == "slow"
        assert names(ana.versions[-2:]) == ["quick", "slow"]

    def test_of_neighbours(self, session: Session, ana: Customer, overtaken: list[str]) -> None:
        for position, name in enumerate(overtaken):
            version = ana.versions[position]
            assert version.name == name
            assert version.index == position
            assert version.next is None or version.next.name == overtaken[position + 1]
            assert version.previous is None or version.previous.name == overtaken[position - 1]
            assert version.operation == ("UPDATE" if position else "INSERT")
            assert version.ended_by == ("UPDATE" if position < 4 else None)
            session.expunge(version)


class TestChanges:
    def test_the_first_version_has_only_new_values(self, ana: Customer) -> None:
        assert ana.versions[0].changeset == {"id": Change(None, 7), "name": Change(None, "Ana")}

    def test_later_ones_have_old_and_new(self, ana: Customer) -> None:
        change = ana.versions[2].changeset
        assert change == {"name": Change("Bea", "Cleo"), "city": Change(None, "Rome")}
        assert (change["name"].old, change["name"].new) == ("Bea", "Cleo")

    def test_to_none(self, session: Session, ana: Customer) -> None:
        ana.city = None
        session.commit()
        assert ana.versions[-1].changeset == {"city": Change("Rome", None)}

    def test_excluded_columns_never_occur(self, session: Session, ana: Customer) -> None:
        ana.last_seen = "tomorrow"
        session.commit()
        assert len(ana.versions) == 3
        assert {version.last_seen for version in ana.versions} == {None}

    def test_operations(self, session: Session, ana: Customer) -> None:
        session.delete(ana)
        session.commit()
        session.add(Customer(id=7, name="Dora"))
        session.commit()
        versions = versions_of(session, Customer, 7)
        assert [v.operation for v in versions] == ["INSERT", "UPDATE", "UPDATE", "INSERT"]
        assert [v.ended_by for v in versions] == ["UPDATE", "UPDATE", "DELETE", None]
        assert versions[3].changeset == {"id": Change(None, 7), "name": Change(None, "Dora")}

    def test_deleted_and_inserted_again_in_one_transaction_is_an_update(
        self, session: Session, ana: Customer
    ) -> None:
        session.execute(delete(Customer))
        session.execute(text("INSERT INTO customers (id, name) VALUES (7, 'Dora')"))
        session.commit()
        last = versions_of(session, Customer, 7)[-1]
        assert last.operation == "UPDATE"
        assert last.changeset == {"name": Change("Cleo", "Dora"), "city": Change("Rome", None)}
        assert last.previous.ended_by == "UPDATE"

    @pytest.mark.postgresql
    def test_truncate(self, session: Session, ana: Customer) -> None:
        session.execute(text("TRUNCATE customers"))
        session.commit()
        assert versions_of(session, Customer, 7)[-1].ended_by == "TRUNCATE"


class TestCommit:
    def test_tells_who_when_and_why(self, session: Session) -> None:
        started = datetime.now(UTC)
        describe(session.connection(), "ana", "New customer", {"request_id": "r-1"})
        customer = Customer(id=7, name="Ana")
        session.add(customer)
        session.commit()
        version = customer.versions[0]
        commit = version.commit
        assert (commit.author, commit.message) == ("ana", "New customer")
        assert commit.context == {"request_id": "r-1"}
        on_server = session.connection().dialect.name == "postgresql"
        user = session.scalar(text("SELECT current_user")) if on_server else ""
        assert commit.database_user == user
        assert commit.operation == "COMMIT"
        assert commit.seq == version.temporal_commit_seq
        assert commit.tx_id == version.temporal_tx_id
        assert commit.counts == {"public.customers": {"insert": 1}}
        assert (commit.effective_at is None) is on_server  # sealed later there
        assert commit.committed_at == version.temporal_valid_from
        assert abs((commit.committed_at - started).total_seconds()) < 60

    def test_is_read_once_for_versions_loaded_together(
        self, ana: Customer, counted: list[str]
    ) -> None:
        versions = list(ana.versions)
        counted.clear()
        assert len({version.commit.uuid for version in versions}) == 3
        assert len(counted) == 1

    def test_versions_touch_each_other(self, ana: Customer) -> None:
        versions = list(ana.versions)
        assert [v.temporal_valid_to for v in versions] == [
            *(v.temporal_valid_from for v in versions[1:]),
            None,
        ]
        assert [v.temporal_end_commit_seq for v in versions] == [
            *(v.temporal_commit_seq for v in versions[1:]),
            None,
        ]


@pytest.fixture
def counted(session: Session) -> Iterator[list[str]]:
    """The statements executed."""
    statements: list[str] = []

    def note(_c: Any, _cur: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    event.listen(session.get_bind(), "before_cursor_execute", note)
    yield statements
    event.remove(session.get_bind(), "before_cursor_execute", note)


class TestByKey:
    def test_of_a_deleted_object(self, session: Session, ana: Customer) -> None:
        session.delete(ana)
        session.commit()
        versions = versions_of(session, Customer, 7)
        assert names(versions) == ["Ana", "Bea", "Cleo"]
        assert versions[-1].name == "Cleo"
        assert versions[-1].ended_by == "DELETE"

    def test_of_a_key_that_never_was(self, session: Session) -> None:
        assert list(versions_of(session, Customer, 99)) == []
        with pytest.raises(IndexError):
            versions_of(session, Customer, 99)[-1]

    @pytest.mark.parametrize("key", [(1, "A"), [1, "A"], {"column": "A", "row": 1}])
    def test_composite_keys_as_for_session_get(self, session: Session, key: Any) -> None:
        session.add(Seat(row=1, column="A", guest="Ana"))
        session.commit()
        assert [v.guest for v in versions_of(session, Seat, key)] == ["Ana"]

    @pytest.mark.parametrize("key", [1, (1,), (1, "A", 2), {"row": 1}, {"row_number": 1}])
    def test_another_number_of_parts_is_refused(self, session: Session, key: Any) -> None:
        with pytest.raises(UnsupportedReadError, match="row, column"):
            versions_of(session, Seat, key)

    def test_of_an_unversioned_class_is_refused(self, session: Session) -> None:
        class Other(DeclarativeBase):
            pass

        class Log(Other):
            __tablename__ = "logs"
            id: Mapped[int] = mapped_column(primary_key=True)

        with pytest.raises(ConfigurationError, match="inherit Versioned"):
            versions_of(session, Log, 1)


class TestDetached:
    def test_is_an_error_of_both_hierarchies_with_advice(
        self, session: Session, ana: Customer
    ) -> None:
        session.expunge(ana)
        view = ana.versions
        with pytest.raises(DetachedObjectError, match="versions_of") as raised:
            len(view)
        assert isinstance(raised.value, TemporalError)

    def test_attached_again_it_works(self, session: Session, ana: Customer) -> None:
        session.expunge(ana)
        view = ana.versions
        session.add(ana)
        assert len(view) == 3


class TestReadOnly:
    def test_a_changed_version(self, session: Session, ana: Customer) -> None:
        ana.versions[0].name = "Zoe"
        version = next(iter(session.dirty))
        with pytest.raises(ReadOnlyPastError, match="CustomerHistory id=7"):
            session.flush()
        session.rollback()
        assert names(ana.versions) == ["Ana", "Bea", "Cleo"]
        assert version is not None

    def test_a_deleted_version(self, session: Session, ana: Customer) -> None:
        version = ana.versions[0]
        session.delete(version)
        with pytest.raises(ReadOnlyPastError):
            session.flush()

    def test_an_added_version(self, session: Session, ana: Customer) -> None:
        version = ana.versions[0]
        make_transient(version)
        session.add(version)
        with pytest.raises(ReadOnlyPastError):
            session.flush()

    def test_a_version_made_up(self) -> None:
        with pytest.raises(ReadOnlyPastError, match="cannot be made"):
            Customer.History(id=7)

    def test_setting_what_it_is_already_does_no_harm(self, session: Session, ana: Customer) -> None:
        version = ana.versions[0]
        version.name = "Ana"
        session.flush()

    def test_bulk_statements(self) -> None:
        for statement in (insert, update, delete):
            with pytest.raises(ArgumentError, match="Subquery"):
                statement(history_of(Customer))


class TestNamesOfTheUsersOwn:
    """Attributes of the entity win; the functions remain."""

    @pytest.fixture
    def word(self, session: Session) -> Word:
        word = Word(
            id=1,
            index=10,
            previous="p",
            next="n",
            operation="o",
            commit="c",
            changeset="s",
            versions=5,
            History="h",
        )
        session.add(word)
        session.commit()
        word.index = 11
        session.commit()
        return word

    def test_win(self, word: Word) -> None:
        version = versions_of_object(word)[0]
        assert (version.index, version.previous, version.next) == (10, "p", "n")
        assert (version.operation, version.commit, version.changeset) == ("o", "c", "s")
        assert (version.versions, version.History) == (5, "h")

    def test_functions_remain(self, session: Session, word: Word) -> None:
        from sqlalchemy_temporal.model.changes import changeset_of, operation_of
        from sqlalchemy_temporal.model.commits import commit_of

        first, second = versions_of(session, Word, 1)
        assert version_index(second) == 1
        assert previous_version(second) is first
        assert next_version(first) is second
        assert operation_of(second) == "UPDATE"
        assert changeset_of(second) == {"index": Change(10, 11)}
        assert commit_of(second) is not None


def test_a_version_can_be_pickled(ana: Customer) -> None:
    copy = pickle.loads(pickle.dumps(ana.versions[1]))  # noqa: S301 - our own bytes
    assert copy.name == "Bea"
    assert type(copy) is Customer.History


def test_shows_the_key_and_the_transaction(ana: Customer) -> None:
    version = ana.versions[0]
    assert repr(version) == f"<CustomerHistory id=7, transaction {version.temporal_tx_id}>"
    assert repr(ana.versions) == "<versions of Customer>"
