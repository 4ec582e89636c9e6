"""Law 7 on SQLite: what was recorded lawfully verifies, for any program."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sqlalchemy_temporal.repository import Repository
from tests.sqlite.test_laws import PROGRAMS, Engines, begin_anew, engines, run

__all__ = ["engines"]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    program=PROGRAMS,
    recursive=st.booleans(),
    triggers=st.booleans(),
    hashed=st.sets(st.integers(0, 5)),
)
def test_a_lawful_program_verifies_whenever_its_commits_were_hashed(
    engines: Engines, program: list[Any], recursive: bool, triggers: bool, hashed: set[int]
) -> None:
    engine = engines[recursive, triggers]
    begin_anew(engine)
    for number, (statements, committed) in enumerate(program):
        with engine.connect() as connection:
            run(connection, statements)
            if committed:
                connection.commit()
            else:
                connection.rollback()
        if number in hashed:
            with engine.begin() as connection:
                Repository(connection).hash_commits()
    with engine.begin() as connection:
        repo = Repository(connection)
        digest = repo.digest()
        found = repo.verify(digest=digest)
        assert found.ok, str(found)
        assert repo.verify(since="HEAD").ok
