"""What an INSERT, UPDATE or DELETE construct is about to change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    Connection,
    Delete,
    FromClause,
    Insert,
    Select,
    Update,
    column,
    select,
    type_coerce,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import operators
from sqlalchemy.sql.dml import DMLState
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList
from sqlalchemy.types import NullType, TypeEngine

from sqlalchemy_temporal.capture.orm.recorder import OURS, Found, Key, Recorder
from sqlalchemy_temporal.errors import UnrecordedWriteError

Parameters = Mapping[str, Any]

UNKNOWN: Final = object()
"""A value that only the database will know."""


@dataclass(frozen=True, slots=True)
class Change:
    """An UPDATE or DELETE, with everything the ORM adds to it when it compiles it.

    Attributes:
        table: the table it changes.
        criteria: which rows.
        assigned: what it sets, by the name of the column; nothing for DELETE.
        sets: its sets of parameters, at least one.
        dialect: of the connection.
    """

    table: FromClause
    criteria: tuple[ColumnElement[bool], ...]
    assigned: Mapping[str, Any]
    sets: Sequence[Parameters]
    dialect: Dialect

    @property
    def lookup(self) -> list[tuple[str, BindParameter[Any]]] | None:
        """Columns and their values, when that is all that says which rows; None otherwise."""
        found = []
        for condition in _flat(self.criteria):
            pair = _equality(condition, self.table)
            if pair is None:
                return None
            found.append(pair)
        return found or None

    def of_set(self, bind: BindParameter[Any], values: Parameters) -> Any:
        """The value of a parameter in one set, as the driver gets it."""
        value = values.get(bind.key, UNKNOWN)
        return raw(bind.effective_value if value is UNKNOWN else value, bind.type, self.dialect)

    def new_value(self, name: str, values: Parameters) -> Any:
        """What a column is set to in one set: a value of the driver, or an expression."""
        value = self.assigned[name]
        type_ = column_of(self.table, name).type
        if isinstance(value, BindParameter):
            given = values.get(value.key, UNKNOWN)
            return raw(value.effective_value if given is UNKNOWN else given, type_, self.dialect)
        if hasattr(value, "__clause_element__"):
            return value.__clause_element__()
        if isinstance(value, ColumnElement):
            return value
        return raw(value, type_, self.dialect)


def raw(value: Any, type_: TypeEngine[Any], dialect: Dialect) -> Any:
    """A value as the driver gets it."""
    process = type_._cached_bind_processor(dialect)
    return process(value) if process else value


def change_of(
    connection: Connection, element: Update | Delete, sets: Sequence[Parameters]
) -> Change:
    """Read an UPDATE or DELETE."""
    state, statement = _resolved(connection, element)
    table = statement.table._deannotate()
    assigned: dict[str, Any] = {}
    if isinstance(element, Update):
        for key, value in (state._dict_parameters or {}).items():
            assigned[_name_of(table, key)] = value
        for key in sets[0] if sets else ():
            if key in table.c:
                name = str(table.c[key].name)
                assigned.setdefault(name, BindParameter(key, None, required=True))
    return Change(table, statement._where_criteria, assigned, sets or [{}], connection.dialect)


def _resolved(connection: Connection, element: Any) -> tuple[DMLState, Any]:
    """How the construct is compiled, and the construct as the ORM completes it."""
    dialect = connection.dialect
    compiler = dialect.statement_compiler(dialect, None)
    state = element._compile_state_factory(element, compiler)
    return state, state.statement


def _name_of(table: FromClause, key: Any) -> str:
    if isinstance(key, str):
        return str(table.c[key].name) if key in table.c else key
    return str(key.name)


def column_of(table: FromClause, name: str) -> ColumnElement[Any]:
    """A column by the name it has in the database, whether ``table`` mentions it or not."""
    for each in table.c:
        if each.name == name:
            return each
    made: Any = column(name)
    made.table = table
    return made  # type: ignore[no-any-return]


def as_driven(columns: Iterable[ColumnElement[Any]]) -> Select[Any]:
    """A SELECT of columns with the values that the driver gives, whatever their types are."""
    plain = (type_coerce(each, NullType()) for each in columns)
    made: Any = select(*(each.label(f"temporal_{i}") for i, each in enumerate(plain)))
    return made  # type: ignore[no-any-return]


def _flat(criteria: Iterable[Any]) -> Iterator[Any]:
    for condition in criteria:
        if isinstance(condition, BooleanClauseList) and condition.operator is operators.and_:
            yield from _flat(condition.clauses)
        else:
            yield condition


def _equality(condition: Any, table: FromClause) -> tuple[str, BindParameter[Any]] | None:
    if not isinstance(condition, BinaryExpression) or condition.operator is not operators.eq:
        return None
    for left, right in (
        (condition.left, condition.right),
        (condition.right, condition.left),
    ):
        if (
            isinstance(left, Column)
            and left._deannotate().table is table
            and isinstance(right, BindParameter)
            and not right.expanding
            and not right.type._has_bind_expression
        ):
            return str(left.name), right
    return None


# ------------------------------------------------------------------------------------ rows


def rows_of(
    connection: Connection, recorder: Recorder, change: Change, *, deleting: bool = False
) -> list[Found]:
    """The rows of the table that are about to be changed, or deleted, locked.

    Raises:
        UnrecordedWriteError: several sets of parameters give rows keys one after the other.
    """
    key = recorder.spec.key
    moving = [name for name in key if name in change.assigned]
    lookup = change.lookup
    if lookup is None or (moving and not set(key) <= {name for name, _ in lookup}):
        found = [
            row
            for values in change.sets
            for row in _selected(connection, recorder, change, values, deleting=deleting)
        ]
        if len(change.sets) > 1:
            _refuse_chains(recorder, [(row.key, row.new_key) for row in found])
        return list({row.key: row for row in found}.values())
    names = tuple(name for name, _ in lookup)
    rows = [tuple(change.of_set(bind, v) for _, bind in lookup) for v in change.sets]
    wanted = dict.fromkeys(row for row in rows if None not in row)
    found = recorder.find(connection, names, list(wanted), keys_stay=not (moving or deleting))
    return _with_new_keys(connection, recorder, change, found, rows) if moving else found


def _selected(
    connection: Connection,
    recorder: Recorder,
    change: Change,
    values: Parameters,
    *,
    deleting: bool = False,
) -> list[Found]:
    """The rows for one set of parameters, by the statement's own conditions."""
    recorder.prepare(connection)
    key = recorder.spec.key
    columns = [column_of(change.table, name) for name in key]
    moving = any(name in change.assigned for name in key)
    new = _new_key(connection, recorder, change, values) if moving else {}
    expressions = {n: v for n, v in new.items() if isinstance(v, ColumnElement)}
    wanted = as_driven([*columns, recorder.writer(change.table), *expressions.values()])
    statement = recorder.locked(
        wanted.select_from(change.table).where(*change.criteria),
        change.table,
        keys_stay=not (moving or deleting),
    )
    width = len(key)
    rows = []
    for row in connection.execute(statement, dict(values), execution_options={OURS: True}).all():
        computed = dict(zip(expressions, row[width + 1 :], strict=True))
        old = dict(zip(key, row, strict=False))
        rows.append((*row[: width + 1], *({**old, **new, **computed}[n] for n in key)))
    return recorder.distinct(rows)


def _new_key(
    connection: Connection, recorder: Recorder, change: Change, values: Parameters
) -> dict[str, Any]:
    """The new values of key columns: as the driver gets them, or expressions."""
    return {
        name: change.new_value(name, values)
        for name in recorder.spec.key
        if name in change.assigned
    }


def _with_new_keys(
    connection: Connection,
    recorder: Recorder,
    change: Change,
    found: list[Found],
    rows: list[Key],
) -> list[Found]:
    """The rows found, with the keys that each set of parameters gives them."""
    key = recorder.spec.key
    names = [name for name, _ in change.lookup or ()]
    places = [names.index(name) for name in key]
    new_keys: dict[Key, Key] = {}
    for values, row in zip(change.sets, rows, strict=True):
        old = tuple(row[place] for place in places)
        new = _new_key(connection, recorder, change, values)
        if any(isinstance(value, ColumnElement) for value in new.values()):
            return [
                each for one in change.sets for each in _selected(connection, recorder, change, one)
            ]
        new_keys[old] = tuple(new.get(name, value) for name, value in zip(key, old, strict=True))
    _refuse_chains(recorder, list(new_keys.items()))
    return [Found(each.key, each.tx, new_keys.get(each.key, each.key)) for each in found]


def _refuse_chains(recorder: Recorder, pairs: Sequence[tuple[Key, Key]]) -> None:
    """Sets of parameters run one after the other: a key given may be meant by a later one."""
    given: set[Key] = set()
    for old, new in pairs:
        if old in given:
            raise UnrecordedWriteError(
                f"a statement on {recorder.spec.qualified!r} with several sets of parameters gives "
                f"a row the key {old}, and changes the row of that key afterwards: which row is "
                "meant cannot be told before. Execute it once for each set"
            )
        if old != new:
            given.add(new)


# ----------------------------------------------------------------------------------- INSERT


@dataclass(frozen=True, slots=True)
class Addition:
    """An INSERT.

    Attributes:
        table: the table.
        rows: the values given for each row, by the name of the column; None when they come
            from a SELECT.
        source: that SELECT, and the names of what it gives.
        on_conflict: the ON CONFLICT clause.
        replaces: whether it may delete rows in place of which it inserts (SQLite).
    """

    table: FromClause
    rows: Sequence[Mapping[str, Any]] | None
    source: tuple[Any, tuple[str, ...]] | None
    on_conflict: Any
    replaces: bool

    def given(
        self, names: Sequence[str], dialect: Dialect, *, absent: Any = UNKNOWN
    ) -> list[Key] | None:
        """The values of some columns in each row; None when only the database knows them."""
        if self.rows is None:
            return None
        found = []
        types = [column_of(self.table, name).type for name in names]
        for row in self.rows:
            values = [row.get(name, absent) for name in names]
            if any(v is UNKNOWN or isinstance(v, ColumnElement) for v in values):
                return None
            found.append(tuple(raw(v, t, dialect) for v, t in zip(values, types, strict=True)))
        return found

    def gives(self, name: str) -> bool:
        """Whether a value may be given for a column, by the statement or in Python."""
        own = column_of(self.table, name)
        by_default = isinstance(own, Column) and (own.default or own.server_default) is not None
        return by_default or self.rows is None or any(name in row for row in self.rows)


def addition_of(connection: Connection, element: Insert, sets: Sequence[Parameters]) -> Addition:
    """Read an INSERT."""
    state, statement = _resolved(connection, element)
    table = statement.table._deannotate()
    prefixes = " ".join(str(prefix) for prefix, _ in element._prefixes).upper()
    clause = element._post_values_clause
    if element.select is not None:
        names = tuple(_name_of(table, name) for name in element._select_names or ())
        return Addition(table, None, (element.select, names), clause, "REPLACE" in prefixes)
    multiple = state._multi_parameters or [state._dict_parameters or {}]
    rows = []
    for values in sets or [{}]:
        for each in multiple:
            row = {_name_of(table, key): _given(value, values) for key, value in each.items()}
            row |= {_name_of(table, k): v for k, v in values.items() if k in table.c}
            rows.append(row)
    return Addition(table, rows, None, clause, "REPLACE" in prefixes)


def _given(value: Any, values: Parameters) -> Any:
    if isinstance(value, BindParameter):
        return values.get(value.key, value.effective_value)
    return value.__clause_element__() if hasattr(value, "__clause_element__") else value


__all__ = [
    "UNKNOWN",
    "Addition",
    "Change",
    "addition_of",
    "as_driven",
    "change_of",
    "column_of",
    "raw",
    "rows_of",
]
