"""The session of the past: what it shares with its parent, and what it refuses."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, delete, event, insert, select, text, update
from sqlalchemy.exc import InvalidRequestError
from sqlalchemy.orm import (
    ORMExecuteState,
    Query,
    Session,
    make_transient,
    scoped_session,
    sessionmaker,
    with_loader_criteria,
)
from sqlalchemy.orm.exc import DetachedInstanceError

from sqlalchemy_temporal.errors import (
    FutureMomentError,
    NaiveDatetimeError,
    ReadOnlyPastError,
    UnknownOptionError,
)
from sqlalchemy_temporal.reading.as_of import as_of
from sqlalchemy_temporal.reading.session import AsOfSession
from sqlalchemy_temporal.reading.token import is_past
from sqlalchemy_temporal.session import TemporalSession
from tests.reading.conftest import Zoo, head
from tests.reading.zoo import Address, Customer, Order, Setting, Tag


@pytest.fixture(params=[Session, TemporalSession])
def session(both: Zoo, request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session on the database with two states; it is rolled back."""
    with request.param(both.engine) as session:
        yield session


@pytest.fixture
def past(both: Zoo, session: Session) -> Iterator[AsOfSession]:
    with as_of(session, both.first) as past:
        yield past


class TestSharing:
    def test_the_moment_is_known(self, both: Zoo, past: AsOfSession) -> None:
        assert past.moment == both.first

    def test_the_present_session_is_known(self, session: Session, past: AsOfSession) -> None:
        assert past.present is session

    def test_the_connection_is_the_parents(self, session: Session, past: AsOfSession) -> None:
        pid = select(text("pid")).select_from(text("(select pg_backend_pid() as pid) p"))
        with as_of(session, past.moment, text="allow") as allowed:
            assert allowed.scalar(pid) == session.scalar(pid)

    def test_objects_of_past_and_present_are_apart(
        self, session: Session, past: AsOfSession
    ) -> None:
        now, then = session.get_one(Customer, 1), past.get_one(Customer, 1)
        assert (now.name, then.name) == ("Anna", "Ana")
        assert now is not then
        assert is_past(then)
        assert not is_past(now)

    def test_pending_changes_of_the_present_are_not_flushed_or_seen(
        self, session: Session, past: AsOfSession
    ) -> None:
        session.get_one(Customer, 1).name = "pending"
        assert past.get_one(Customer, 1).name == "Ana"
        assert session.dirty

    def test_flushed_changes_of_the_present_are_not_seen(self, both: Zoo, session: Session) -> None:
        session.get_one(Customer, 1).name = "flushed"
        session.delete(session.get_one(Address, 10))
        session.add(Tag(id=77, name="new"))
        session.flush()
        with as_of(session, both.second) as past:
            assert past.get_one(Customer, 1).name == "Anna"
            assert sorted(past.scalars(select(Tag.id))) == [1, 2, 3]
            assert past.get_one(Address, 10).city == "Paris"

    def test_excluded_columns_read_as_null(self, past: AsOfSession) -> None:
        assert past.get_one(Customer, 1).last_seen is None
        assert past.scalar(select(Customer.last_seen).where(Customer.id == 2)) is None

    def test_it_ends_with_the_block(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            customer = past.get_one(Customer, 1)
        assert customer.name == "Ana"
        with pytest.raises(DetachedInstanceError):
            _ = customer.addresses
        with pytest.raises(ReadOnlyPastError, match="closed"):
            past.get(Customer, 2)

    def test_it_ends_after_an_error_too(self, both: Zoo, session: Session) -> None:
        with pytest.raises(ZeroDivisionError), as_of(session, both.first) as past:
            raise ZeroDivisionError
        with pytest.raises(ReadOnlyPastError, match="closed"):
            past.get(Customer, 1)
        assert session.get_one(Customer, 1).name == "Anna"

    def test_the_present_goes_on_inside_of_the_block(
        self, session: Session, past: AsOfSession
    ) -> None:
        before = past.get_one(Customer, 1).name
        assert session.scalar(select(Customer.name).where(Customer.id == 1)) == "Anna"
        past.expire_all()
        assert past.get_one(Customer, 1).name == before == "Ana"


class TestTransactions:
    @pytest.mark.parametrize("kind", [Session, TemporalSession])
    def test_the_parent_commits_inside_of_the_block(self, pg_engine: Engine, kind: Any) -> None:
        engine = small_zoo(pg_engine)
        with kind(engine) as session, as_of(session, "HEAD") as past:
            tag = past.get_one(Tag, 1)
            session.get_one(Tag, 1).name = "changed"
            session.commit()
            assert tag.name == "red"
            past.refresh(tag)
            assert tag.name == "red"
            assert session.get_one(Tag, 1).name == "changed"
            with as_of(session, "HEAD") as later:
                assert later.get_one(Tag, 1).name == "changed"
            assert past.get_one(Tag, 2).name == "green"

    @pytest.mark.parametrize("kind", [Session, TemporalSession])
    def test_the_parent_rolls_back_inside_of_the_block(self, pg_engine: Engine, kind: Any) -> None:
        engine = small_zoo(pg_engine)
        with kind(engine) as session, as_of(session, "HEAD") as past:
            session.get_one(Tag, 1).name = "changed"
            session.flush()
            past.expire_all()
            assert past.get_one(Tag, 1).name == "red"
            session.rollback()
            past.expire_all()
            assert past.get_one(Tag, 1).name == "red"

    def test_a_savepoint_of_the_parent(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            nested = session.begin_nested()
            session.get_one(Customer, 1).name = "inside"
            session.flush()
            assert past.get_one(Customer, 1).name == "Ana"
            nested.rollback()
            assert past.get_one(Customer, 2).name == "Ben"
            assert session.get_one(Customer, 1).name == "Anna"

    def test_closing_the_past_leaves_the_transaction_open(
        self, both: Zoo, session: Session
    ) -> None:
        session.get_one(Customer, 1).name = "kept"
        session.flush()
        with as_of(session, both.first) as past:
            past.get(Customer, 1)
            past.rollback()
        assert session.in_transaction()
        assert session.scalar(select(Customer.name).where(Customer.id == 1)) == "kept"

    def test_nested_and_interleaved_blocks(self, both: Zoo, session: Session) -> None:
        name = select(Customer.name).where(Customer.id == 1)
        with as_of(session, both.first) as first:
            with as_of(session, both.second) as second, as_of(second, both.first) as inner:
                assert [s.scalar(name) for s in (first, second, inner, session, first)] == [
                    "Ana", "Anna", "Ana", "Anna", "Ana",
                ]  # fmt: skip
                assert inner.present is session
                assert first.get(Customer, 1) is not inner.get(Customer, 1)
            assert first.scalar(name) == "Ana"

    def test_blocks_that_end_in_any_order(self, both: Zoo, session: Session) -> None:
        outer, inner = as_of(session, both.first), as_of(session, both.second)
        first, second = outer.__enter__(), inner.__enter__()
        outer.__exit__(None, None, None)
        assert second.get_one(Customer, 1).name == "Anna"
        inner.__exit__(None, None, None)
        assert first is not second

    def test_a_session_bound_to_a_connection(self, both: Zoo) -> None:
        with (
            both.engine.connect() as connection,
            Session(connection) as session,
            as_of(session, both.first) as past,
        ):
            assert past.get_one(Customer, 1).name == "Ana"

    def test_several_binds_each_have_their_own_moment(self, both: Zoo) -> None:
        with Session(binds={Customer: both.engine, Tag: both.then}) as session:
            session.get_one(Tag, 2)
            with as_of(session, "HEAD~1") as past:
                assert past.get_one(Customer, 1).name == "Ana"
                assert past.scalar(select(Customer.name).where(Customer.id == 1)) == "Ana"
            with as_of(session, "HEAD") as past:
                assert past.get_one(Tag, 2).name == "green"
                assert past.get_one(Customer, 1).name == "Anna"
                assert (
                    past.scalar(
                        select(Tag.name).where(Tag.id == 2), bind_arguments={"bind": both.engine}
                    )
                    == "lime"
                )

    def test_threads_have_their_own_sessions(self, both: Zoo) -> None:
        from concurrent.futures import ThreadPoolExecutor

        def name(first: bool) -> str:
            moment = both.first if first else both.second
            with Session(both.engine) as session, as_of(session, moment) as past:
                return past.get_one(Customer, 1).name

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(name, [True, False] * 10)) == ["Ana", "Anna"] * 10


def small_zoo(engine: Engine) -> Engine:
    """Two tags in a database of the test's own."""
    with engine.begin() as connection:
        Tag.metadata.create_all(connection, tables=[Tag.__table__])  # type: ignore[list-item]
    with Session(engine) as session:
        session.add_all([Tag(id=1, name="red"), Tag(id=2, name="green")])
        session.commit()
    return engine


class TestWrites:
    @pytest.mark.parametrize(
        "write",
        [
            lambda past: past.add(Tag(id=9, name="x")),
            lambda past: past.add_all([Tag(id=9, name="x")]),
            lambda past: past.delete(past.get_one(Tag, 1)),
            lambda past: past.merge(Tag(id=1, name="x")),
            lambda past: past.commit(),
            lambda past: past.begin(),
            lambda past: past.begin_nested(),
            lambda past: past.prepare(),
            lambda past: past.bulk_save_objects([Tag(id=9, name="x")]),
            lambda past: past.bulk_insert_mappings(Tag, [{"id": 9}]),
            lambda past: past.bulk_update_mappings(Tag, [{"id": 1}]),
            lambda past: past.execute(insert(Tag).values(id=9, name="x")),
            lambda past: past.execute(insert(Tag), [{"id": 9, "name": "x"}]),
            lambda past: past.execute(update(Tag).values(name="x")),
            lambda past: past.execute(delete(Tag)),
            lambda past: past.execute(insert(Tag.__table__).values(id=9, name="x")),
            lambda past: past.scalars(insert(Tag).values(id=9, name="x").returning(Tag)),
            lambda past: past.query(Tag).delete(),
            lambda past: past.query(Tag).update({"name": "x"}),
            lambda past: past.scalars(select(Tag).with_for_update()),
            lambda past: past.get(Tag, 1, with_for_update=True),
            lambda past: past.refresh(past.get_one(Tag, 1), with_for_update=True),
            lambda past: past.execute(
                select(insert(Tag).values(id=9, name="x").returning(Tag.id).cte())
            ),
            lambda past: past.execute(
                select(Tag).from_statement(insert(Tag).values(id=9, name="x").returning(Tag))
            ),
            lambda past: past.execute(
                select(Tag.id).add_cte(insert(Tag).values(id=9, name="x").cte())
            ),
            lambda past: past.connection().execute(delete(Tag)),
            lambda past: past.connection().commit(),
            lambda past: past.connection().begin(),
        ],
    )
    def test_every_kind_is_refused(
        self, past: AsOfSession, write: Callable[[AsOfSession], Any]
    ) -> None:
        with pytest.raises(ReadOnlyPastError):
            write(past)

    def test_changed_objects_are_never_flushed(self, session: Session, past: AsOfSession) -> None:
        past.get_one(Customer, 1).name = "changed"
        past.scalars(select(Customer)).all()
        with pytest.raises(ReadOnlyPastError):
            past.flush()
        past.close()
        assert session.scalar(select(Customer.name).where(Customer.id == 1)) == "Anna"

    def test_flushing_nothing_is_allowed(self, past: AsOfSession) -> None:
        past.get_one(Customer, 1)
        past.flush()

    def test_autoflush_that_was_switched_on(self, past: AsOfSession) -> None:
        past.get_one(Customer, 1).name = "changed"
        past.autoflush = True
        with pytest.raises(ReadOnlyPastError):
            past.scalars(select(Customer)).all()

    def test_a_new_object_cannot_get_in_through_a_relationship(self, past: AsOfSession) -> None:
        customer = past.get_one(Customer, 1)
        with pytest.raises(ReadOnlyPastError):
            customer.addresses.append(Address(id=99, city="x"))

    def test_a_present_object_cannot_get_in_through_a_relationship(
        self, session: Session, past: AsOfSession
    ) -> None:
        customer, address = past.get_one(Customer, 1), session.get_one(Address, 20)
        with pytest.raises((ReadOnlyPastError, InvalidRequestError)):
            customer.addresses.append(address)


class TestPastObjectsInThePresent:
    def test_merge_is_refused(self, session: Session, past: AsOfSession) -> None:
        with pytest.raises(ReadOnlyPastError, match="revert"):
            session.merge(past.get_one(Customer, 1))

    def test_merge_of_a_deleted_row_is_refused(self, session: Session, past: AsOfSession) -> None:
        with pytest.raises(ReadOnlyPastError, match="revert"):
            session.merge(past.get_one(Customer, 4))

    def test_merge_without_loading_is_refused(self, session: Session, past: AsOfSession) -> None:
        with pytest.raises(ReadOnlyPastError, match="revert"):
            session.merge(past.get_one(Customer, 1), load=False)

    def test_merge_after_the_block_is_refused(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            customer = past.get_one(Customer, 1)
        with pytest.raises(ReadOnlyPastError, match="revert"):
            session.merge(customer)

    def test_merge_through_a_relationship_is_refused(
        self, session: Session, past: AsOfSession
    ) -> None:
        order = Order(id=100, customer_id=1, status="new")
        past.get_one(Customer, 1)
        with as_of(session, past.moment) as other:
            customer = other.get_one(Customer, 1)
        order.customer = customer
        with pytest.raises(ReadOnlyPastError, match="revert"):
            session.merge(order)

    def test_add_is_refused(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            customer = past.get_one(Customer, 1)
            with pytest.raises((ReadOnlyPastError, InvalidRequestError)):
                session.add(customer)
        with pytest.raises(ReadOnlyPastError):
            session.add(customer)

    def test_delete_is_refused(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            customer = past.get_one(Customer, 1)
        with pytest.raises(ReadOnlyPastError):
            session.delete(customer)

    def test_use_in_a_relationship_is_refused(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            customer = past.get_one(Customer, 1)
        with pytest.raises(ReadOnlyPastError):
            session.get_one(Order, 200).customer = customer

    def test_pickled_objects_stay_of_the_past(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            copy = pickle.loads(pickle.dumps(past.get_one(Tag, 1)))  # noqa: S301 - our own
        assert is_past(copy)
        with pytest.raises(ReadOnlyPastError):
            session.merge(copy)

    def test_made_transient_they_stay_of_the_past(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            tag = past.get_one(Tag, 1)
        make_transient(tag)
        with pytest.raises(ReadOnlyPastError):
            session.add(tag)

    def test_a_session_that_never_saw_the_past_refuses_them(self, both: Zoo) -> None:
        with Session(both.engine) as session, as_of(session, both.first) as past:
            customer, deleted = past.get_one(Customer, 1), past.get_one(Customer, 4)
        with Session(both.engine) as other:
            for instance in (customer, deleted):
                for use in (other.merge, other.add, other.delete):
                    with pytest.raises(ReadOnlyPastError):
                        use(instance)
                with pytest.raises(ReadOnlyPastError):
                    other.merge(instance, load=False)
            assert not other.dirty
            assert not other.new

    def test_values_can_be_copied(self, both: Zoo, session: Session) -> None:
        with as_of(session, both.first) as past:
            tag = past.get_one(Tag, 2)
        assert session.merge(Tag(id=2, name=tag.name)).name == "green"

    def test_ordinary_merges_and_additions_work(self, session: Session, past: AsOfSession) -> None:
        past.get(Tag, 1)
        assert session.merge(Tag(id=1, name="merged")) is session.get(Tag, 1)
        session.add(Tag(id=50, name="added"))
        session.flush()


class TestUserSessions:
    def test_hooks_of_a_session_class_run_in_the_past(self, both: Zoo) -> None:
        class Mine(Session):
            pass

        seen: list[str] = []

        @event.listens_for(Mine, "do_orm_execute")
        def only_oslo(state: ORMExecuteState) -> None:
            seen.append(type(state.session).__name__)
            state.statement = state.statement.options(
                with_loader_criteria(Address, Address.city == "Oslo")
            )

        with Mine(both.engine) as session, as_of(session, both.first) as past:
            assert len(past.scalars(select(Address)).all()) == 4
            assert [a.city for a in past.get_one(Customer, 1).addresses] == ["Oslo"]
        assert set(seen) == {"AsOfMine"}

    def test_hooks_of_one_session_run_in_the_past(self, both: Zoo, session: Session) -> None:
        @event.listens_for(session, "do_orm_execute")
        def only_oslo(state: ORMExecuteState) -> None:
            state.statement = state.statement.options(
                with_loader_criteria(Address, Address.city == "Oslo")
            )

        with as_of(session, both.first) as past:
            assert len(past.scalars(select(Address)).all()) == 4

    def test_hooks_of_a_sessionmaker_run_in_the_past(self, both: Zoo) -> None:
        make = sessionmaker(both.engine)

        @event.listens_for(make, "do_orm_execute")
        def only_oslo(state: ORMExecuteState) -> None:
            state.statement = state.statement.options(
                with_loader_criteria(Address, Address.city == "Oslo")
            )

        with make() as session, as_of(session, both.first) as past:
            assert len(past.scalars(select(Address)).all()) == 4

    def test_a_hook_that_runs_another_statement_gets_the_past(
        self, both: Zoo, session: Session
    ) -> None:
        @event.listens_for(session, "do_orm_execute")
        def replaced(state: ORMExecuteState) -> Any:
            return state.invoke_statement(select(Customer).where(Customer.id == 2))

        with as_of(session, both.first) as past:
            assert past.scalars(select(Customer).where(Customer.id == 1)).one().name == "Ben"
            assert past.scalars(select(Customer)).one().orders[0:1] != []

    def test_a_hook_that_forgets_the_options_gets_the_past(
        self, both: Zoo, session: Session
    ) -> None:
        @event.listens_for(session, "do_orm_execute")
        def replaced(state: ORMExecuteState) -> None:
            state.statement = select(Customer.name).where(Customer.id == 1)

        with as_of(session, both.first) as past:
            assert past.execute(select(Tag)).scalar() == "Ana"

    def test_hooks_that_cache_by_statement_keep_moments_apart(
        self, both: Zoo, session: Session
    ) -> None:
        cache: dict[Any, Any] = {}

        @event.listens_for(session, "do_orm_execute")
        def cached(state: ORMExecuteState) -> Any:
            key = state.statement._generate_cache_key()
            assert key is not None
            identity = key.key, tuple(repr(p.value) for p in key.bindparams)
            if identity not in cache:
                cache[identity] = state.invoke_statement().freeze()
            return cache[identity]()

        answers = []
        for moment in (both.first, both.second, both.first):
            with as_of(session, moment) as past:
                answers.append(past.scalar(select(Customer.name).where(Customer.id == 1)))
        assert answers == ["Ana", "Anna", "Ana"]
        assert len(cache) == 2

    def test_a_custom_query_class(self, both: Zoo) -> None:
        class Mine(Query[Any]):
            def names(self) -> list[str]:
                return [c.name for c in self]

        with Session(both.engine, query_cls=Mine) as session, as_of(session, both.first) as past:
            query: Any = past.query(Customer).order_by(Customer.id)
            assert query.names() == ["Ana", "Ben", "Cleo", "Dan"]

    def test_a_class_with_its_own_constructor_and_attributes(self, both: Zoo) -> None:
        class Tenant(Session):
            def __init__(self, tenant: str, engine: Engine) -> None:
                super().__init__(engine)
                self.tenant = tenant

            def whose(self) -> str:
                return f"{self.tenant} {self.info.get('k')}"

        with Tenant("acme", both.engine) as session:
            session.info["k"] = "v"
            with as_of(session, both.first) as past:
                assert isinstance(past, Tenant)
                assert past.whose() == "acme v"
                assert past.get_one(Customer, 1).name == "Ana"

    def test_a_class_that_routes(self, both: Zoo) -> None:
        class Routing(Session):
            def get_bind(self, *args: Any, **kw: Any) -> Engine:
                return both.engine

        with Routing() as session, as_of(session, both.first) as past:
            assert past.get_one(Customer, 1).name == "Ana"

    def test_scoped_session(self, both: Zoo) -> None:
        scoped = scoped_session(sessionmaker(both.engine))
        with as_of(scoped, both.first) as past:
            assert past.get_one(Customer, 1).name == "Ana"
        scoped.remove()

    def test_sessionmaker_configured_later(self, both: Zoo) -> None:
        make = sessionmaker(class_=TemporalSession)
        make.configure(bind=both.engine, expire_on_commit=False)
        with make() as session, session.as_of(both.first) as past:
            assert past.get_one(Customer, 1).name == "Ana"


class TestMoments:
    def test_every_way_of_naming_one(self, both: Zoo, session: Session) -> None:
        for when in (both.first, both.first.uuid, str(both.first.uuid), "HEAD~1"):
            with as_of(session, when) as past:
                assert past.get_one(Customer, 1).name == "Ana"
        with as_of(session, both.first.effective_at) as past:
            assert past.get_one(Customer, 1).name == "Ana"
        with as_of(session, both.second.effective_at - timedelta(microseconds=1)) as past:
            assert past.get_one(Customer, 1).name == "Ana"

    def test_a_naive_time_is_refused(self, session: Session) -> None:
        with pytest.raises(NaiveDatetimeError), as_of(session, datetime(2024, 1, 1)):  # noqa: DTZ001
            pass

    def test_a_future_time_is_refused(self, session: Session) -> None:
        soon = datetime.now(UTC) + timedelta(days=1)
        with pytest.raises(FutureMomentError), as_of(session, soon):
            pass

    def test_a_choice_that_does_not_exist(self, session: Session) -> None:
        with pytest.raises(UnknownOptionError, match="unversioned"):
            as_of(session, "HEAD", unversioned="yes")  # type: ignore[call-overload]

    def test_core_connection(self, both: Zoo) -> None:
        statement = select(Tag.__table__.c.name).where(Tag.__table__.c.id == 2)
        with both.engine.connect() as connection, as_of(connection, both.first) as past:
            assert past.execute(statement).scalar() == "green"
            assert past.scalar(statement) == "green"
            assert past.scalars(statement).all() == ["green"]
            assert connection.execute(statement).scalar() == "lime"
            assert past.moment == both.first
            assert past.in_transaction()

    def test_a_plain_engine_compiles_the_present_as_before(self, both: Zoo) -> None:
        statement = select(Customer).where(Customer.id == 1)
        fresh = create_engine(both.url)
        assert str(statement.compile(fresh)) == str(statement.compile(both.engine))
        fresh.dispose()

    def test_head_sees_all_that_is_committed(self, both: Zoo) -> None:
        assert head(both.engine) == both.second

    def test_unversioned_tables_are_read_as_they_are_when_allowed(
        self, both: Zoo, session: Session
    ) -> None:
        with as_of(session, both.first, unversioned="allow") as past:
            assert past.get_one(Setting, 1).value == "new"
            assert past.get_one(Customer, 1).name == "Ana"
