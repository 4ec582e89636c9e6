"""How much to measure: four presets."""

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
        client_seconds: How long processes write at the same time; HEAD is asked for meanwhile.
        bulk_rows: Rows of a bulk statement.
        bulk_rounds: Samples of each bulk statement.
        trap_rounds: Samples of each order of statements on one connection.
        trap_singles: Single-row statements in it.
        point_rounds: Samples of each read of a row.
        point_block: Reads in a sample.
        barrier_writers: Processes that write while HEAD is asked for.
        barrier_questions: How often it is asked for.
        unsealed: Lengths of the unsealed tail to seal.
        archive_versions: Versions to archive, to partition and to purge.
        repository_rows: Rows of the table whose commits are compared and restored.
        repository_changes: Rows that a large commit changes.
        repository_rounds: Samples of each comparison and each return.
        verify_rows: Changed rows whose hashes are computed anew.
        verify_commits: Single-row commits that are hashed together.
        flush_objects: Objects of a flush.
        flush_rounds: Samples of each flush.
        flush_warm_up: Rounds of flushes that are forgotten.
        flush_budget: Seconds that one subject may take for them.
        bulk_budget: Seconds that one subject may take for bulk statements.
        transaction_rows: Rows of the table on which transactions of one row work.
        transaction_clients: How many write at the same time.
        transaction_seconds: Length of a sample of transactions of one row.
        transaction_rounds: Samples of them.
        stored_changes: Changes whose bytes are counted.
        releases: Releases of the airports.
        airports_share: One of how many airports is loaded.
        airports_rounds: Samples of loading them.
        airports_budget: Seconds that one subject may take for them.
        read_items: Items that are read.
        read_parents: Customers that are joined, each with two purchases of two lines.
        read_versions: Versions of each row at which reads are measured.
        read_hot: Versions of the hot row.
        read_rounds: Samples of each read.
        read_budget: Seconds that one read of one subject may take.
        statement_seconds: How long a statement of a subject may take.
        bulk_seconds: How long a bulk statement of a subject may take.
        memory_versions: Versions when memory is measured; 0: not at all.
    """

    rows: int
    single_rounds: int
    single_block: int
    single_block_synchronous: int
    client_seconds: float
    bulk_rows: int
    bulk_rounds: int
    trap_rounds: int
    trap_singles: int
    point_rounds: int
    point_block: int
    barrier_writers: int
    barrier_questions: int
    unsealed: tuple[int, ...]
    archive_versions: int
    repository_rows: int
    repository_changes: int
    repository_rounds: int
    verify_rows: int
    verify_commits: int
    flush_objects: int
    flush_rounds: int
    flush_warm_up: int
    flush_budget: float
    bulk_budget: float
    transaction_rows: int
    transaction_clients: tuple[int, ...]
    transaction_seconds: float
    transaction_rounds: int
    stored_changes: int
    releases: int
    airports_share: int
    airports_rounds: int
    airports_budget: float
    read_items: int
    read_parents: int
    read_versions: tuple[int, ...]
    read_hot: int
    read_rounds: int
    read_budget: float
    statement_seconds: float
    bulk_seconds: float
    memory_versions: int


TINY = Sizes(
    rows=50,
    single_rounds=2,
    single_block=2,
    single_block_synchronous=1,
    client_seconds=0.05,
    bulk_rows=200,
    bulk_rounds=1,
    trap_rounds=1,
    trap_singles=3,
    point_rounds=1,
    point_block=2,
    barrier_writers=2,
    barrier_questions=3,
    unsealed=(10,),
    archive_versions=200,
    repository_rows=200,
    repository_changes=20,
    repository_rounds=2,
    verify_rows=100,
    verify_commits=5,
    flush_objects=30,
    flush_rounds=1,
    flush_warm_up=0,
    flush_budget=60.0,
    bulk_budget=60.0,
    transaction_rows=50,
    transaction_clients=(1, 2),
    transaction_seconds=0.02,
    transaction_rounds=1,
    stored_changes=5,
    releases=2,
    airports_share=200,
    airports_rounds=1,
    airports_budget=60.0,
    read_items=20,
    read_parents=5,
    read_versions=(1, 3),
    read_hot=5,
    read_rounds=1,
    read_budget=60.0,
    statement_seconds=60.0,
    bulk_seconds=60.0,
    memory_versions=100,
)
"""To see that the benchmark works; its figures mean nothing."""

QUICK = Sizes(
    rows=10_000,
    single_rounds=30,
    single_block=20,
    single_block_synchronous=10,
    client_seconds=1.0,
    bulk_rows=10000,
    bulk_rounds=3,
    trap_rounds=2,
    trap_singles=200,
    point_rounds=20,
    point_block=10,
    barrier_writers=8,
    barrier_questions=30,
    unsealed=(1_000, 10_000),
    archive_versions=100000,
    repository_rows=20_000,
    repository_changes=1_000,
    repository_rounds=7,
    verify_rows=50000,
    verify_commits=1_000,
    flush_objects=500,
    flush_rounds=3,
    flush_warm_up=0,
    flush_budget=4.0,
    bulk_budget=3.0,
    transaction_rows=2000,
    transaction_clients=(1, 4, 16),
    transaction_seconds=0.05,
    transaction_rounds=3,
    stored_changes=300,
    releases=11,
    airports_share=10,
    airports_rounds=1,
    airports_budget=4.0,
    read_items=1000,
    read_parents=500,
    read_versions=(1, 10, 30),
    read_hot=500,
    read_rounds=5,
    read_budget=0.3,
    statement_seconds=30.0,
    bulk_seconds=3.0,
    memory_versions=0,
)
"""Under three minutes on two cores."""

DEFAULT = Sizes(
    rows=10_000,
    single_rounds=30,
    single_block=20,
    single_block_synchronous=10,
    client_seconds=1.0,
    bulk_rows=100000,
    bulk_rounds=2,
    trap_rounds=2,
    trap_singles=200,
    point_rounds=20,
    point_block=10,
    barrier_writers=8,
    barrier_questions=60,
    unsealed=(1_000, 10_000),
    archive_versions=200_000,
    repository_rows=20_000,
    repository_changes=1_000,
    repository_rounds=7,
    verify_rows=100_000,
    verify_commits=1_000,
    flush_objects=5000,
    flush_rounds=3,
    flush_warm_up=0,
    flush_budget=25.0,
    bulk_budget=20.0,
    transaction_rows=10000,
    transaction_clients=(1, 4, 16),
    transaction_seconds=0.08,
    transaction_rounds=5,
    stored_changes=500,
    releases=30,
    airports_share=2,
    airports_rounds=1,
    airports_budget=25.0,
    read_items=2000,
    read_parents=1000,
    read_versions=(1, 5, 10, 25, 50),
    read_hot=10000,
    read_rounds=7,
    read_budget=0.5,
    statement_seconds=90.0,
    bulk_seconds=25.0,
    memory_versions=0,
)
"""Some ten minutes on two cores: what the documentation shows."""

FULL = Sizes(
    rows=100_000,
    single_rounds=150,
    single_block=40,
    single_block_synchronous=20,
    client_seconds=3.0,
    bulk_rows=100000,
    bulk_rounds=9,
    trap_rounds=7,
    trap_singles=200,
    point_rounds=100,
    point_block=20,
    barrier_writers=8,
    barrier_questions=400,
    unsealed=(1_000, 10_000),
    archive_versions=5_000_000,
    repository_rows=200_000,
    repository_changes=1_000,
    repository_rounds=21,
    verify_rows=1_000_000,
    verify_commits=10_000,
    flush_objects=5000,
    flush_rounds=9,
    flush_warm_up=1,
    flush_budget=300.0,
    bulk_budget=300.0,
    transaction_rows=10000,
    transaction_clients=(1, 4, 16),
    transaction_seconds=0.3,
    transaction_rounds=15,
    stored_changes=10000,
    releases=30,
    airports_share=1,
    airports_rounds=3,
    airports_budget=600.0,
    read_items=20000,
    read_parents=1000,
    read_versions=(1, 2, 5, 10, 20, 35, 50),
    read_hot=10000,
    read_rounds=25,
    read_budget=20.0,
    statement_seconds=3600.0,
    bulk_seconds=600.0,
    memory_versions=5000000,
)
"""Hours: millions of versions, and memory."""
