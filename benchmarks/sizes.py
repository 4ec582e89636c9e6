"""How much to measure: three presets."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The amounts of work of one run.

    Attributes:
        rows: Rows of the tables that single-row transactions work on.
        single_rounds: Samples of each kind of single-row transaction.
        single_block: Transactions in a sample, without synchronous commit.
        single_block_synchronous: Transactions in a sample, with it.
        clients: Processes that write at the same time.
        client_rounds: Samples of their throughput.
        client_seconds: Length of such a sample.
        bulk_rows: Rows of a bulk statement.
        bulk_rounds: Samples of each bulk statement.
        trap_rounds: Samples of each order of statements on one connection.
        trap_singles: Single-row statements in it.
        hot_versions: Versions of the row with the most of them.
        point_rounds: Samples of each read of a row.
        point_block: Reads in a sample.
        table_rows: Rows of the table that is read whole.
        table_versions: Versions of each of them.
        table_rounds: Samples of each read of the whole table.
        barrier_writers: Processes that write while HEAD is asked for.
        barrier_questions: How often it is asked for.
        unsealed: Lengths of the unsealed tail to seal.
        storage_changes: Changes whose bytes are counted.
        archive_versions: Versions to archive, to partition and to purge.
        repository_rows: Rows of the table whose commits are compared and restored.
        repository_changes: Rows that a large commit changes.
        repository_rounds: Samples of each comparison and each return.
        verify_rows: Changed rows whose hashes are computed anew.
        verify_commits: Single-row commits that are hashed together.
    """

    rows: int
    single_rounds: int
    single_block: int
    single_block_synchronous: int
    clients: int
    client_rounds: int
    client_seconds: float
    bulk_rows: int
    bulk_rounds: int
    trap_rounds: int
    trap_singles: int
    hot_versions: int
    point_rounds: int
    point_block: int
    table_rows: int
    table_versions: int
    table_rounds: int
    barrier_writers: int
    barrier_questions: int
    unsealed: tuple[int, ...]
    storage_changes: int
    archive_versions: int
    repository_rows: int
    repository_changes: int
    repository_rounds: int
    verify_rows: int
    verify_commits: int


TINY = Sizes(
    rows=50,
    single_rounds=2,
    single_block=2,
    single_block_synchronous=1,
    clients=2,
    client_rounds=1,
    client_seconds=0.05,
    bulk_rows=200,
    bulk_rounds=1,
    trap_rounds=1,
    trap_singles=3,
    hot_versions=20,
    point_rounds=1,
    point_block=2,
    table_rows=50,
    table_versions=3,
    table_rounds=1,
    barrier_writers=2,
    barrier_questions=3,
    unsealed=(10,),
    storage_changes=10,
    archive_versions=200,
    repository_rows=200,
    repository_changes=20,
    repository_rounds=2,
    verify_rows=100,
    verify_commits=5,
)
"""To see that the benchmark works; its figures mean nothing."""

QUICK = Sizes(
    rows=10_000,
    single_rounds=30,
    single_block=20,
    single_block_synchronous=10,
    clients=16,
    client_rounds=3,
    client_seconds=1.0,
    bulk_rows=100_000,
    bulk_rounds=3,
    trap_rounds=2,
    trap_singles=200,
    hot_versions=10_000,
    point_rounds=20,
    point_block=10,
    table_rows=20_000,
    table_versions=10,
    table_rounds=5,
    barrier_writers=8,
    barrier_questions=60,
    unsealed=(1_000, 10_000),
    storage_changes=1_000,
    archive_versions=200_000,
    repository_rows=20_000,
    repository_changes=1_000,
    repository_rounds=7,
    verify_rows=100_000,
    verify_commits=1_000,
)
"""Under three minutes on two cores."""

FULL = Sizes(
    rows=100_000,
    single_rounds=150,
    single_block=40,
    single_block_synchronous=20,
    clients=16,
    client_rounds=9,
    client_seconds=3.0,
    bulk_rows=100_000,
    bulk_rounds=9,
    trap_rounds=7,
    trap_singles=200,
    hot_versions=10_000,
    point_rounds=100,
    point_block=20,
    table_rows=100_000,
    table_versions=10,
    table_rounds=9,
    barrier_writers=8,
    barrier_questions=400,
    unsealed=(1_000, 10_000),
    storage_changes=10_000,
    archive_versions=5_000_000,
    repository_rows=200_000,
    repository_changes=1_000,
    repository_rounds=21,
    verify_rows=1_000_000,
    verify_commits=10_000,
)
"""For figures to publish."""
