"""A connection of the past: what runs through it is read as of a moment, or refused."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from typing import Any, Final, NoReturn

from sqlalchemy import (
    Connection,
    CursorResult,
    Executable,
    FunctionElement,
    Result,
    ScalarResult,
    SelectBase,
    Sequence,
    TextClause,
    TextualSelect,
)
from sqlalchemy.orm import FromStatement
from sqlalchemy.schema import ExecutableDDLElement
from sqlalchemy.sql.lambdas import StatementLambdaElement

from sqlalchemy_temporal.clock.moment import Moment
from sqlalchemy_temporal.clock.resolve import When, resolve
from sqlalchemy_temporal.errors import ReadOnlyPastError, UnsupportedReadError
from sqlalchemy_temporal.naming import DEFAULT_SCHEMA
from sqlalchemy_temporal.reading import refusal
from sqlalchemy_temporal.reading.compiler import install
from sqlalchemy_temporal.reading.option import AsOf, options_on, with_option
from sqlalchemy_temporal.reading.policy import Policy

Parameters = Mapping[str, Any] | SequenceOf[Mapping[str, Any]] | None

_WRITES: Final = (ExecutableDDLElement, Sequence)
_NO_OPTIONS: Final[Mapping[str, Any]] = {}


class PastConnection:
    """Runs statements on a connection as of a moment.

    It shares the connection's transaction and never begins, commits or ends anything.
    Each statement gets its moment here, at the last step before it is compiled, so that
    nothing a session or a hook did on the way can make it a question to the present.

    Parameters:
        connection: the present connection.
        option: the moment and the policy.
        execution_options: options of every execution.
    """

    def __init__(
        self,
        connection: Connection,
        option: AsOf,
        execution_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> None:
        install(connection.dialect)
        self._connection = connection
        self._option = option
        self._execution_options = execution_options

    @property
    def moment(self) -> Moment:
        """The moment that is read."""
        return self._option.moment

    @property
    def dialect(self) -> Any:
        """The dialect of the database."""
        return self._connection.dialect

    @property
    def engine(self) -> Any:
        """The engine the connection belongs to."""
        return self._connection.engine

    @property
    def connection(self) -> NoReturn:
        """Refused: the driver's connection knows only the present.

        Raises:
            UnsupportedReadError: always.
        """
        raise UnsupportedReadError(
            "the driver's connection knows nothing of moments; use the present connection for it"
        )

    @property
    def closed(self) -> bool:
        """Whether the shared connection is closed."""
        return self._connection.closed

    def in_transaction(self) -> bool:
        """Whether the shared connection is in a transaction."""
        return self._connection.in_transaction()

    def in_nested_transaction(self) -> bool:
        """Whether the shared connection is in a savepoint."""
        return self._connection.in_nested_transaction()

    def execution_options(self, **options: Any) -> PastConnection:
        """The same with options for every execution, which the shared connection does not get.

        Raises:
            ReadOnlyPastError: an isolation level is the whole transaction's.
        """
        if "isolation_level" in options:
            raise ReadOnlyPastError(
                "the isolation level is that of the present transaction, which the past shares; "
                "set it on the present connection"
            )
        merged = {**self._execution_options, **options}
        return PastConnection(self._connection, self._option, merged)

    def execute(
        self,
        statement: Executable,
        parameters: Parameters = None,
        *,
        execution_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> CursorResult[Any]:
        """Run a SELECT as of the moment.

        Raises:
            ReadOnlyPastError: the statement writes.
            UnsupportedReadError: it cannot be answered exactly.
        """
        prepared = self.prepare(statement)
        if self._execution_options:
            execution_options = {**self._execution_options, **execution_options}
        result: CursorResult[Any] = self._connection.execute(
            prepared, parameters, execution_options=dict(execution_options)
        )
        self._check_executed(prepared, result)
        return result

    def scalar(
        self,
        statement: Executable,
        parameters: Any = None,
        *,
        execution_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> Any:
        """The first column of the first row, or None."""
        return self.execute(statement, parameters, execution_options=execution_options).scalar()

    def scalars(
        self,
        statement: Executable,
        parameters: Any = None,
        *,
        execution_options: Mapping[str, Any] = _NO_OPTIONS,
    ) -> ScalarResult[Any]:
        """The first column of each row."""
        result: Result[Any] = self.execute(
            statement, parameters, execution_options=execution_options
        )
        return result.scalars()

    def prepare(self, statement: Executable) -> Executable:
        """``statement`` with its moment.

        Raises:
            ReadOnlyPastError: the statement writes.
            UnsupportedReadError: it is SQL text or of an unknown kind.
        """
        return with_moment(statement, self._option)

    def _check_executed(self, prepared: Executable, result: CursorResult[Any]) -> None:
        """Refuse the answer to another statement, which would be of the present."""
        executed = result.context.invoked_statement
        if executed is not prepared and options_on(prepared) and not options_on(executed):
            result.close()
            raise UnsupportedReadError(
                "a before_execute hook put another statement in place of the one asked, and that "
                "has no moment; let the hook derive its statement from the one it is given"
            )

    def exec_driver_sql(self, statement: str, *_: object, **__: object) -> NoReturn:
        """Refused: SQL text is not rewritten.

        Raises:
            UnsupportedReadError: always.
        """
        raise UnsupportedReadError(
            f"SQL text cannot be read as of a moment: {statement[:60]!r}; use SQLAlchemy's "
            "constructs, or the present connection"
        )

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise ReadOnlyPastError(
            "a connection of the past shares the present transaction and does not control it; "
            "begin, commit and roll back on the present connection"
        )

    begin = begin_nested = begin_twophase = commit = rollback = close = _refuse
    invalidate = detach = _run_ddl_visitor = _refuse


def with_moment(statement: Executable, option: AsOf) -> Executable:
    """Give ``statement`` its moment, or refuse it when that could mean nothing.

    Raises:
        ReadOnlyPastError: the statement writes.
        UnsupportedReadError: it is SQL text (unless allowed) or of an unknown kind.
    """
    known = option.prepared.get(id(statement))
    if known is not None:
        return known[1]
    prepared = _with_moment(statement, option)
    if prepared is not statement:  # it had none yet
        option.remember(statement, prepared)
    return prepared


def _with_moment(statement: Executable, option: AsOf) -> Executable:
    if isinstance(statement, StatementLambdaElement):
        statement = statement._resolved
    if getattr(statement, "is_dml", False) or isinstance(statement, _WRITES):
        raise ReadOnlyPastError(
            f"{type(statement).__name__} in a session of the past; the past is read-only"
        )
    if isinstance(statement, FunctionElement):
        statement = statement.select()
    written = _text_of(statement)
    if written is not None:
        refusal.check_text(written, option.policy)
        refusal.check_reads(written)
    if isinstance(statement, SelectBase | FromStatement):
        return with_option(statement, option)
    if written is not None:
        return statement
    raise UnsupportedReadError(
        f"{type(statement).__name__} cannot be read as of a moment; use a SELECT"
    )


def _text_of(statement: object) -> str | None:
    """The SQL of a statement that is written as text, or None for others."""
    while isinstance(statement, FromStatement | TextualSelect):
        statement = statement.element
    return statement.text if isinstance(statement, TextClause) else None


def option_for(
    connection: Connection, when: When, policy: Policy, schema: str = DEFAULT_SCHEMA
) -> AsOf:
    """Resolve ``when`` on ``connection`` into the option that reads it.

    Raises:
        MomentError: ``when`` names no point in time that can be read.
    """
    return AsOf(resolve(connection, when, schema), policy)
