"""The clock of PostgreSQL: functions of the library's schema do the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, text

from sqlalchemy_temporal.clock.backends.interface import Question
from sqlalchemy_temporal.clock.moment import Moment, Unknown
from sqlalchemy_temporal.clock.seal import ENOUGH, seal_apart
from sqlalchemy_temporal.ddl import keys
from sqlalchemy_temporal.ddl.privileges import explaining_refusal
from sqlalchemy_temporal.errors import (
    AmbiguousRevisionError,
    BarrierTimeoutError,
    BeforeVersioningError,
    FutureMomentError,
    MomentError,
    NotInstalledError,
    SnapshotTooOldError,
    UnknownRevisionError,
)
from sqlalchemy_temporal.naming import INFO_KEY

_PROBLEMS: Final[dict[str, type[MomentError]]] = {
    keys.STATE_FUTURE: FutureMomentError,
    keys.STATE_BEFORE: BeforeVersioningError,
    keys.STATE_UNKNOWN: UnknownRevisionError,
    keys.STATE_SNAPSHOT: SnapshotTooOldError,
    keys.STATE_BARRIER: BarrierTimeoutError,
    keys.STATE_AMBIGUOUS: AmbiguousRevisionError,
}
_BOUNDS: Final = ("since", "until")


class PostgreSQLClock:
    """Asks the functions that :mod:`sqlalchemy_temporal.ddl.postgresql` makes."""

    def require(self, connection: Connection, schema: str) -> None:
        """Ask once per database connection; a failing statement would end its transaction."""
        known = connection.info.setdefault(f"{INFO_KEY}.systems", set())
        if schema in known:
            return
        quoted = connection.dialect.identifier_preparer.quote(schema).replace("%%", "%")
        with _privileges_explained(quoted):
            found = connection.scalar(
                text("SELECT to_regproc(:name) IS NOT NULL"), {"name": f"{quoted}.resolve"}
            )
        if not found:
            raise NotInstalledError(
                f"this database has no versioning in schema {schema!r}; create it with "
                "Base.metadata.create_all(engine), or with op.enable_versioning() in a migration"
            )
        known.add(schema)

    def snapshot_is_fixed(self, connection: Connection) -> bool:
        """Whether it is not READ COMMITTED."""
        level = connection.scalar(text("SELECT current_setting('transaction_isolation')"))
        return str(level) != "read committed"

    def resolve(self, connection: Connection, schema: str, question: Question) -> Moment:
        """Ask the server; where many commits wait to be sealed, have that done, too."""
        quoted = connection.dialect.identifier_preparer.quote(schema)
        with _privileges_explained(quoted):
            row = connection.execute(
                text(f"SELECT * FROM {quoted}.resolve(:kind, :asked, :steps)"),  # noqa: S608
                {"kind": question.kind, "asked": question.asked, "steps": question.steps},
            ).one()
        if row.problem is not None:
            advice = f" ({row.hint})" if row.hint else ""
            raise _PROBLEMS[row.problem](
                f"cannot read as of {question.label}: {row.message}{advice}"
            )
        if row.unsealed >= ENOUGH:
            seal_apart(connection, schema)
        return Moment(
            seq=row.seq,
            uuid=row.uuid,
            effective_at=row.effective_at,
            hi=row.hi,
            inflight=tuple(sorted(row.inflight)),
            lo=row.lo,
            schema=schema,
            unknown=frozenset(_unknown(name, said) for name, said in row.unknown.items()),
            closed=frozenset(row.closed),
        )

    def describe(
        self, connection: Connection, author: str | None, message: str | None, context: str | None
    ) -> None:
        """Write settings of the transaction, which the commit reads.

        Empty values are written as empty strings, which is also what PostgreSQL makes of such
        a setting after the first transaction that used it; the commit reads them as NULL.
        """
        connection.execute(
            text(
                "SELECT set_config('temporal.author', :author, true), "
                "set_config('temporal.message', :message, true), "
                "set_config('temporal.context', :context, true)"
            ),
            {"author": author or "", "message": message or "", "context": context or ""},
        )


def _unknown(history: str, said: Mapping[str, Any]) -> Unknown:
    since, until = (said[name] and datetime.fromisoformat(said[name]) for name in _BOUNDS)
    return Unknown(history, said["why"], since, until)


@contextmanager
def _privileges_explained(schema: str) -> Iterator[None]:
    """Say which rights reading the past needs when the server refuses for lack of them."""
    with explaining_refusal(
        lambda said: (
            f"this role may not read the past: {said}. Grant it GRANT USAGE ON SCHEMA "
            f"{schema} TO ... and GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO ..."
        )
    ):
        yield
