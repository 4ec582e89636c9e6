"""One set of models in each kind of capture, and random programs that are run on both."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st
from sqlalchemy import (
    Column,
    Connection,
    Engine,
    ForeignKey,
    Numeric,
    Table,
    UniqueConstraint,
    delete,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    Session,
    configure_mappers,
    mapped_column,
    relationship,
)
from sqlalchemy.orm.exc import StaleDataError

from sqlalchemy_temporal import Versioned, versioned_table
from sqlalchemy_temporal.schema import system_of
from sqlalchemy_temporal.stored import history_on


@dataclass(frozen=True, repr=False)
class Family:
    """The models in one kind of capture. Tables are named after the kind."""

    kind: str
    base: Any
    Owner: Any
    Keeper: Any
    Account: Any
    Pet: Any
    Tag: Any
    Note: Any
    Odd: Any

    @property
    def tables(self) -> dict[str, Table]:
        """By the name they have in both families."""
        return {
            table.name.removeprefix(f"{self.kind}_"): table
            for table in self.base.metadata.sorted_tables
        }


def family(kind: str) -> Family:
    """Declare the models."""

    class Base(DeclarativeBase):
        pass

    options: Any = {"capture": kind, "exclude": ()}
    owner_tag = Table(
        f"{kind}_owner_tag",
        Base.metadata,
        Column("owner_id", ForeignKey(f"{kind}_owner.id", onupdate="CASCADE"), primary_key=True),
        Column("tag_id", ForeignKey(f"{kind}_tag.id"), primary_key=True),
    )
    versioned_table(owner_tag, **options)

    class Owner(Versioned, Base):
        __tablename__ = f"{kind}_owner"
        __versioned__ = {"capture": kind, "exclude": ["seen"]}
        __mapper_args__ = {"polymorphic_on": "sort", "polymorphic_identity": "owner"}
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        sort: Mapped[str] = mapped_column(default="owner")
        name: Mapped[str]
        note: Mapped[str | None]
        rank: Mapped[int] = mapped_column(default=0, server_default="7")
        edits: Mapped[int] = mapped_column(default=1, onupdate=lambda: 5)
        seen: Mapped[int | None]
        accounts: Mapped[list[Any]] = relationship(
            "Account", passive_deletes=True, cascade="all, delete-orphan", order_by="Account.id"
        )
        pets: Mapped[list[Any]] = relationship("Pet", passive_deletes="all")
        tags: Mapped[list[Any]] = relationship("Tag", secondary=owner_tag, order_by="Tag.id")

    class Keeper(Owner):
        __tablename__ = f"{kind}_keeper"
        __mapper_args__ = {"polymorphic_identity": "keeper"}
        id: Mapped[int] = mapped_column(
            ForeignKey(f"{kind}_owner.id", onupdate="CASCADE", ondelete="CASCADE"),
            primary_key=True,
        )
        keys: Mapped[int]

    class Account(Versioned, Base):
        __tablename__ = f"{kind}_account"
        __versioned__ = options
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
        owner_id: Mapped[int] = mapped_column(
            ForeignKey(f"{kind}_owner.id", ondelete="CASCADE", onupdate="CASCADE")
        )
        amount: Mapped[Decimal] = mapped_column(Numeric(10, 2), server_default="1.50")

    class Pet(Versioned, Base):
        __tablename__ = f"{kind}_pet"
        __versioned__ = options
        __table_args__ = (UniqueConstraint("name", name=f"{kind}_pet_name"),)
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str]
        owner_id: Mapped[int | None] = mapped_column(
            ForeignKey(f"{kind}_owner.id", ondelete="SET NULL", onupdate="CASCADE")
        )

    class Tag(Versioned, Base):
        __tablename__ = f"{kind}_tag"
        __versioned__ = options
        id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)

    class Note(Versioned, Base):
        __tablename__ = f"{kind}_note"
        __versioned__ = options
        id: Mapped[int] = mapped_column(primary_key=True)
        text_: Mapped[str] = mapped_column("text", server_default=func.lower("NEW"))

    class Odd(Versioned, Base):
        __tablename__ = f"{kind}_Odd %:x"
        __versioned__ = options
        order: Mapped[str] = mapped_column("Order", primary_key=True)
        values: Mapped[int] = mapped_column("values", primary_key=True, autoincrement=False)
        user: Mapped[str | None] = mapped_column("a:b %(c)s")

    configure_mappers()
    return Family(kind, Base, Owner, Keeper, Account, Pet, Tag, Note, Odd)


KEYS = st.integers(1, 5)
WORDS = st.sampled_from(["a", "b", "", "o'neil", "ünï"])
SYNC = st.sampled_from([False, "auto", "evaluate", "fetch"])
AMOUNTS = st.sampled_from(["0", "1", "1.00", "-5.25"])

Operation = Callable[..., object]
OPERATIONS: dict[str, tuple[Operation, tuple[st.SearchStrategy[Any], ...]]] = {}


def operation(*values: st.SearchStrategy[Any]) -> Callable[[Operation], Operation]:
    """Note a function as an operation of programs, with what its values are drawn from."""

    def noted(function: Operation) -> Operation:
        OPERATIONS[function.__name__] = (function, values)
        return function

    return noted


def upsert(session: Session, table: Any) -> Any:
    """INSERT of the dialect that knows ON CONFLICT."""
    on_postgresql = session.connection().dialect.name == "postgresql"
    return postgresql_insert(table) if on_postgresql else sqlite_insert(table)


@operation(KEYS, WORDS)
def put_owner(s: Session, f: Family, key: int, name: str) -> None:
    found = s.get(f.Owner, key)
    if found is None:
        s.add(f.Owner(id=key, name=name))
    else:
        found.name = name


@operation(KEYS, KEYS)
def put_keeper(s: Session, f: Family, key: int, keys: int) -> None:
    found = s.get(f.Owner, key)
    if found is None:
        s.add(f.Keeper(id=key, name="k", keys=keys))
    elif isinstance(found, f.Keeper):
        found.keys = keys


@operation(KEYS, KEYS, AMOUNTS)
def put_account(s: Session, f: Family, key: int, owner: int, amount: str) -> None:
    parent = s.get(f.Owner, owner)
    if parent is None:
        return
    found = s.get(f.Account, key)
    if found is None:
        parent.accounts.append(f.Account(id=key))
    else:
        found.owner_id, found.amount = owner, Decimal(amount)


@operation(KEYS, st.none() | KEYS, WORDS)
def put_pet(s: Session, f: Family, key: int, owner: int | None, name: str) -> None:
    if owner is not None and s.get(f.Owner, owner) is None:
        return
    s.merge(f.Pet(id=key, name=f"{name}{key}", owner_id=owner))


@operation(KEYS, st.lists(KEYS, max_size=3, unique=True))
def tag_owner(s: Session, f: Family, key: int, tags: list[int]) -> None:
    found = s.get(f.Owner, key)
    if found is not None:
        found.tags = [s.merge(f.Tag(id=tag)) for tag in tags]


@operation(KEYS)
def retag_owner(s: Session, f: Family, key: int) -> None:
    found = s.get(f.Owner, key)
    if found is not None and found.tags:
        tag = found.tags[0]
        found.tags.remove(tag)
        found.tags.append(tag)


@operation(KEYS)
def drop_owner(s: Session, f: Family, key: int) -> None:
    found = s.get(f.Owner, key)
    if found is not None:
        s.delete(found)


@operation(KEYS)
def drop_pet(s: Session, f: Family, key: int) -> None:
    found = s.get(f.Pet, key)
    if found is not None:
        s.delete(found)


@operation(KEYS, WORDS)
def replace_pet(s: Session, f: Family, key: int, name: str) -> None:
    found = s.get(f.Pet, key)
    if found is not None:
        s.delete(found)
        s.flush()
        s.add(f.Pet(id=key, name=f"{name}{key}"))


@operation(KEYS)
def by_expression(s: Session, f: Family, key: int) -> None:
    found = s.get(f.Owner, key)
    if found is not None:
        found.rank = f.Owner.rank + 1


@operation(KEYS, KEYS)
def excluded(s: Session, f: Family, key: int, seen: int) -> None:
    found = s.get(f.Owner, key)
    if found is not None:
        found.seen = seen
        found.edits = found.edits


@operation(KEYS, KEYS)
def move_owner(s: Session, f: Family, old: int, new: int) -> None:
    s.flush()
    free = s.connection().execute(select(f.Owner.id).where(f.Owner.id == new)).first() is None
    found = s.get(f.Owner, old)
    if found is not None and free and type(found) is f.Owner:
        found.id = new
        s.flush()
        s.expire_all()


@operation(KEYS, KEYS)
def move_owner_by_statement(s: Session, f: Family, old: int, new: int) -> None:
    other = select(f.Owner.id).where(f.Owner.id == new).exists()
    s.execute(
        update(f.Owner).where(f.Owner.id == old, ~other).values(id=new),
        execution_options={"synchronize_session": False},
    )
    s.expire_all()


@operation(SYNC, WORDS)
def update_all(s: Session, f: Family, sync: Any, name: str) -> None:
    s.execute(update(f.Owner).values(name=name), execution_options={"synchronize_session": sync})


@operation(SYNC, KEYS)
def update_some(s: Session, f: Family, sync: Any, key: int) -> None:
    statement = update(f.Owner).where(f.Owner.id > key).values(rank=f.Owner.rank + key, note="n")
    s.execute(statement, execution_options={"synchronize_session": sync})


@operation(KEYS, st.booleans())
def update_returning(s: Session, f: Family, key: int, core: bool) -> None:
    statement = update(f.Pet).where(f.Pet.id >= key).values(name=f.Pet.name + "!")
    if core:
        s.connection().execute(statement.returning(f.Pet.name)).all()
    else:
        s.scalars(statement.returning(f.Pet)).all()


@operation(KEYS)
def update_by_another(s: Session, f: Family, key: int) -> None:
    statement = (
        update(f.Account)
        .where(f.Account.owner_id == f.Owner.id, f.Owner.rank < key)
        .values(amount=f.Owner.rank + 2)
    )
    s.execute(statement, execution_options={"synchronize_session": False})


@operation(st.lists(KEYS, min_size=1, max_size=3, unique=True), WORDS)
def update_by_key(s: Session, f: Family, keys: list[int], name: str) -> None:
    with suppress(StaleDataError):
        s.execute(update(f.Note), [{"id": key, "text_": name} for key in keys])


@operation(st.lists(KEYS, min_size=1, max_size=3, unique=True), WORDS)
def update_many_sets(s: Session, f: Family, keys: list[int], name: str) -> None:
    table = f.Note.__table__
    statement = update(table).where(table.c.id == text(":which")).values(text=text(":what"))
    s.connection().execute(statement, [{"which": key, "what": name} for key in keys])


@operation(SYNC, KEYS)
def delete_some(s: Session, f: Family, sync: Any, key: int) -> None:
    statement = delete(f.Account).where(f.Account.id < key)
    s.execute(statement, execution_options={"synchronize_session": sync})


@operation(KEYS)
def delete_by_another(s: Session, f: Family, key: int) -> None:
    statement = delete(f.Account).where(
        f.Account.owner_id.in_(select(f.Owner.id).where(f.Owner.rank > key))
    )
    s.execute(statement, execution_options={"synchronize_session": False})


@operation(KEYS)
def delete_owner_by_statement(s: Session, f: Family, key: int) -> None:
    tags = f.tables["owner_tag"]
    s.execute(delete(tags).where(tags.c.owner_id == key))
    s.execute(delete(f.Owner.__table__).where(f.Owner.id == key))
    s.expire_all()


@operation(st.lists(KEYS, max_size=3), WORDS)
def insert_many(s: Session, f: Family, keys: list[int], name: str) -> None:
    s.execute(insert(f.Note), [{"text_": f"{name}{key}"} for key in keys] or [{"text_": "one"}])


@operation(st.booleans())
def insert_returning(s: Session, f: Family, defaults: bool) -> None:
    if defaults:
        s.scalars(insert(f.Note).returning(f.Note), [{}, {}] if False else [{"text_": "r"}]).all()
    else:
        s.connection().execute(insert(f.Note.__table__).returning(f.Note.__table__.c.id)).all()


@operation(KEYS)
def insert_from_select(s: Session, f: Family, key: int) -> None:
    names = select(f.Owner.name).where(f.Owner.id >= key).order_by(f.Owner.id)
    s.execute(insert(f.Note).from_select(["text"], names))


@operation(KEYS, WORDS)
def insert_several_values(s: Session, f: Family, key: int, name: str) -> None:
    rows = [{"text": name}, {"text": f"{name}{key}"}]
    s.connection().execute(insert(f.Note.__table__).values(rows))


@operation(WORDS, KEYS, KEYS)
def upsert_odd(s: Session, f: Family, order: str, first: int, more: int) -> None:
    table = f.Odd.__table__
    statement = upsert(s, table)
    statement = statement.on_conflict_do_update(
        index_elements=["Order", "values"],
        set_={table.c[2]: statement.excluded[table.c[2].key]},
    )
    rows = [
        {"Order": order, "values": first + i, table.c[2].key: f"{more}" if i else None}
        for i in range(min(more, 3))
    ]
    s.connection().execute(statement, rows)


@operation(WORDS, KEYS)
def upsert_odd_values(s: Session, f: Family, order: str, key: int) -> None:
    statement = upsert(s, f.Odd).values(
        [{"order": order, "values": key, "user": "v"}, {"order": order, "values": 0, "user": "w"}]
    )
    statement = statement.on_conflict_do_update(
        index_elements=["Order", "values"],
        set_={"a:b %(c)s": statement.excluded["a:b %(c)s"]},
        where=f.Odd.values > 2,
    )
    s.execute(statement)
    s.expire_all()


@operation(KEYS, WORDS)
def upsert_pet(s: Session, f: Family, key: int, name: str) -> None:
    statement = upsert(s, f.Pet).values(name=f"{name}{key}")
    statement = statement.on_conflict_do_update(
        index_elements=["name"], set_={"owner_id": None, "name": f.Pet.name + "+"}
    )
    s.scalars(statement.returning(f.Pet), execution_options={"populate_existing": True}).all()


@operation(KEYS, WORDS)
def skip_pet(s: Session, f: Family, key: int, name: str) -> None:
    s.execute(upsert(s, f.Pet).values(id=key, name=f"{name}{key}").on_conflict_do_nothing())


@operation(st.lists(KEYS, min_size=1, max_size=3, unique=True))
def bulk_save(s: Session, f: Family, keys: list[int]) -> None:
    s.bulk_save_objects([f.Note(text_=f"bulk {key}") for key in keys])


@operation(WORDS)
def bulk_mappings(s: Session, f: Family, name: str) -> None:
    s.flush()
    keys = list(s.scalars(select(f.Note.id).order_by(f.Note.id).limit(2)))
    s.bulk_update_mappings(f.Note, [{"id": key, "text_": name} for key in keys])
    s.bulk_insert_mappings(f.Note, [{"text_": name}, {"text_": "m"}])
    s.expire_all()


@operation(WORDS)
def same_again(s: Session, f: Family, name: str) -> None:
    s.execute(update(f.Note).values(text_=f.Note.text_))
    s.execute(update(f.Note).where(literal(False)).values(text_=name))


@operation()
def flush(s: Session, f: Family) -> None:
    s.flush()


@operation()
def forget(s: Session, f: Family) -> None:
    s.flush()
    s.expire_all()


@dataclass(frozen=True)
class Step:
    """One operation; in a savepoint that may be rolled back, or in none."""

    name: str
    values: tuple[Any, ...]
    savepoint: bool
    rolled_back: bool


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """One random operation."""
    name = draw(st.sampled_from(sorted(OPERATIONS)))
    values = tuple(draw(each) for each in OPERATIONS[name][1])
    return Step(name, values, draw(st.booleans()), draw(st.integers(0, 4)) == 0)


PROGRAMS = st.lists(
    st.tuples(st.lists(steps(), min_size=1, max_size=6), st.integers(0, 6).map(bool)),
    min_size=1,
    max_size=6,
)


START = [
    Step(name, values, savepoint=False, rolled_back=False)
    for name, values in (
        *(("put_owner", (key, "a")) for key in (1, 2, 3)),
        ("put_keeper", (4, 4)),
        *(("put_account", (key, key % 3 + 1, "1")) for key in (1, 2, 3, 4)),
        *(("put_pet", (key, key, "b")) for key in (1, 2, 3)),
        ("tag_owner", (1, [1, 2])),
        ("tag_owner", (2, [2])),
        ("bulk_save", ([1, 2, 3],)),
        ("upsert_odd", ("a", 1, 3)),
    )
]
"""What programs start from."""


def run_step(session: Session, models: Family, step: Step) -> None:
    """Do one operation; what the database refuses is rolled back with its savepoint."""
    session.flush()
    function, _ = OPERATIONS[step.name]
    try:
        with session.begin_nested() as savepoint:
            function(session, models, *step.values)
            session.flush()
            if step.savepoint and step.rolled_back:
                savepoint.rollback()
    except IntegrityError:
        session.expire_all()


def run(engine: Engine, models: Family, steps: list[Step], committed: bool) -> None:
    """Run one transaction."""
    with Session(engine) as session:
        for step in steps:
            run_step(session, models, step)
        if committed:
            session.commit()
        else:
            session.rollback()


@dataclass(frozen=True)
class Recorded:
    """Everything that was recorded of a family since a transaction, without ids."""

    live: dict[str, list[Any]]
    history: dict[str, list[Any]]
    commits: list[Any]
    moved: list[Any]


def recorded(connection: Connection, models: Family, since: int) -> Recorded:
    """Read it: transactions are numbered in the order of their commits."""
    system = system_of(connection, "temporal_versioning")
    names = {table: name for name, table in models.tables.items()}
    mine = {f"public.{table.name}": name for table, name in names.items()}
    transaction = system.transaction
    rows = connection.execute(
        select(transaction.c.id, transaction.c.counts)
        .where(transaction.c.id > since)
        .order_by(transaction.c.commit_seq)
    ).all()
    found = [
        (row.id, {mine[name]: numbers for name, numbers in row.counts.items()})
        for row in rows
        if row.counts and set(row.counts) <= set(mine)
    ]
    places = {number: place for place, (number, _) in enumerate(found)}
    live, history = {}, {}
    for table, name in names.items():
        past = history_on(connection, table)
        columns = [past.c[column.name] for column in table.columns if column.name in past.c]
        live[name] = sorted(
            map(repr, connection.execute(select(*table.columns).select_from(table)))
        )
        versions = connection.execute(
            select(
                past.c.temporal_tx_id,
                past.c.temporal_end_tx_id,
                past.c.temporal_operation,
                past.c.temporal_valid_from.is_not(None),
                past.c.temporal_valid_from <= past.c.temporal_valid_to,
                *columns,
            ).where(past.c.temporal_end_tx_id > since)
        ).all()
        history[name] = sorted(
            repr((places.get(row[0], "before"), places.get(row[1], "?"), *row[2:]))
            for row in versions
        )
    moves = system.pk_change
    moved = [
        repr((mine[f"{m.table_schema}.{m.table_name}"], places[m.tx_id], m.old_key, m.new_key))
        for m in connection.execute(select(moves).where(moves.c.tx_id > since))
        if f"{m.table_schema}.{m.table_name}" in mine
    ]
    return Recorded(live, history, [counts for _, counts in found], sorted(moved))
