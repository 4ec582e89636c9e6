"""Law 7: what was recorded lawfully verifies, for any program, however it is hashed."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, MetaData

from sqlalchemy_temporal.repository import Repository
from tests.laws.programs import Transaction, programs
from tests.laws.test_storage import run, versioned

__all__ = ["versioned"]


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(program=programs, hashed_after=st.sets(st.integers(0, 8)))
def test_a_lawful_program_verifies_whenever_its_commits_were_hashed(
    versioned: tuple[Engine, MetaData], program: list[Transaction], hashed_after: set[int]
) -> None:
    engine, metadata = versioned
    for number, transaction in enumerate(program):
        run(engine, metadata, [transaction])
        if number in hashed_after:
            with engine.connect() as connection:
                Repository(connection).hash_commits()
    with engine.connect() as connection:
        repo = Repository(connection)
        digest = repo.digest()
        found = repo.verify(digest=digest.to_json())
        assert found.ok, str(found)
        assert found.head_hash is not None
        assert found.head_hash.hex() == digest.hash
        assert found.unhashed == 0
        assert repo.verify(since="HEAD").ok
