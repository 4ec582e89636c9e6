"""Returning to an earlier state: what is written, in which order, and what is refused."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, Engine, MetaData, Table, text

from sqlalchemy_temporal.clock.resolve import resolve
from sqlalchemy_temporal.errors import (
    AlteredRowsError,
    BeforeVersioningError,
    CommitError,
    ConstraintViolationError,
    StaleParentError,
)
from sqlalchemy_temporal.repository import Repository
from tests.repository.shop import rows, run, version, versioned

PARENTS = (
    "CREATE TABLE parent (id int PRIMARY KEY, name text)",
    (
        "CREATE TABLE child (id int PRIMARY KEY, "
        "parent_id int REFERENCES parent ON DELETE {action}, note text)"
    ),
)


@pytest.fixture
def connection(pg_engine: Engine) -> Iterator[Connection]:
    with pg_engine.connect() as found:
        yield found


@pytest.fixture
def repo(connection: Connection) -> Repository:
    return Repository(connection)


def _family(connection: Connection, action: str) -> None:
    statements = (statement.format(action=action) for statement in PARENTS)
    versioned(connection, *statements, parent=["id"], child=["id"])
    run(connection, "INSERT INTO parent VALUES (1, 'a'), (2, 'b')")
    run(connection, "INSERT INTO child VALUES (10, 1, 'x'), (20, 2, 'y')")


# ------------------------------------------------------------------------- what is written


def test_a_changed_row_is_updated_and_not_replaced(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "UPDATE parent SET name = 'c' WHERE id = 1")
    done = repo.restore("HEAD~1")
    assert done.changes == {"public.parent": {"UPDATE": 1}}
    assert len(rows(connection, "child")) == 2
    connection.commit()
    ended = "SELECT temporal_operation FROM temporal_versioning.parent_history"
    assert connection.scalars(text(ended)).all() == ["UPDATE", "UPDATE"]


def test_only_columns_that_differ_are_written(connection: Connection, repo: Repository) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, a int, b int)", t=["id"])
    run(connection, "INSERT INTO t VALUES (1, 1, 1)")
    run(connection, "UPDATE t SET a = 2")
    run(
        connection,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN RAISE EXCEPTION $$b was written$$; END'",
        "CREATE TRIGGER refuse BEFORE UPDATE OF b ON t FOR EACH ROW EXECUTE FUNCTION refuse()",
    )
    repo.restore("HEAD~1")
    assert rows(connection, "t") == [(1, 1, 1)]


def test_nothing_to_change_makes_no_commit(connection: Connection, repo: Repository) -> None:
    _family(connection, "CASCADE")
    before = repo.head
    done = repo.restore("HEAD")
    connection.commit()
    assert not done
    assert repo.head == before
    with pytest.raises(CommitError, match="nothing to change"):
        _ = done.commit


def test_a_restored_state_is_an_ordinary_commit_on_head(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "DELETE FROM child")
    before = repo.head
    done = repo.restore("HEAD~1", message="Back", author="ana")
    with pytest.raises(CommitError, match="not committed yet"):
        _ = done.commit
    connection.commit()
    assert done.commit == repo.head
    assert done.commit.operation == "RESTORE"
    assert (done.commit.message, done.commit.author) == ("Back", "ana")
    assert done.commit.parent_uuid == before.uuid


def test_a_restore_that_is_rolled_back_leaves_nothing(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "DELETE FROM child")
    savepoint = connection.begin_nested()
    repo.restore("HEAD~1")
    savepoint.rollback()
    run(connection, "UPDATE parent SET name = 'z'")
    assert repo.head.operation == "COMMIT"
    assert rows(connection, "child") == []


def test_rows_are_chosen_by_key_and_by_condition(connection: Connection, repo: Repository) -> None:
    _family(connection, "CASCADE")
    run(connection, "UPDATE child SET note = 'new'")
    repo.restore("HEAD~1", "child", keys=[10])
    assert rows(connection, "child") == [(10, 1, "x"), (20, 2, "new")]
    connection.rollback()
    repo.restore("HEAD~1", "child", keys=[20, 99])
    assert rows(connection, "child") == [(10, 1, "new"), (20, 2, "y")]


def test_more_rows_than_a_driver_takes_parameters(connection: Connection, repo: Repository) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, a int)", t=["id"])
    run(connection, "INSERT INTO t SELECT i, i FROM generate_series(1, 40000) i")
    run(connection, "DELETE FROM t WHERE id > 20000", "UPDATE t SET a = 0")
    done = repo.restore("HEAD~1")
    assert done.changes == {"public.t": {"INSERT": 20000, "UPDATE": 20000}}
    assert connection.scalar(text("SELECT count(*) FROM t WHERE a = id")) == 40000


# --------------------------------------------------------------------------- what is kept


def test_identity_columns_keep_their_values_and_sequences_go_on(
    connection: Connection, repo: Repository
) -> None:
    versioned(
        connection,
        "CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int)",
        "CREATE TABLE s (id serial PRIMARY KEY, a int)",
        t=["id"],
        s=["id"],
    )
    run(connection, "INSERT INTO t (a) VALUES (1), (2)", "INSERT INTO s (id) VALUES (7)")
    run(connection, "DELETE FROM t", "DELETE FROM s", "ALTER SEQUENCE t_id_seq RESTART")
    repo.restore("HEAD~1")
    run(connection, "INSERT INTO t (a) VALUES (3)", "INSERT INTO s (a) VALUES (3)")
    assert rows(connection, "t") == [(1, 1), (2, 2), (3, 3)]
    assert rows(connection, "s") == [(7, None), (8, 3)]


def test_generated_columns_are_left_to_the_database(
    connection: Connection, repo: Repository
) -> None:
    made = "CREATE TABLE t (id int PRIMARY KEY, a int, b int GENERATED ALWAYS AS (a * 2) STORED)"
    versioned(connection, made, t=["id"])
    run(connection, "INSERT INTO t VALUES (1, 1), (2, 2)")
    run(connection, "DELETE FROM t WHERE id = 1", "UPDATE t SET a = 5")
    repo.restore("HEAD~1")
    assert rows(connection, "t") == [(1, 1, 2), (2, 2, 4)]


def test_excluded_columns_stay_as_they_are(connection: Connection, repo: Repository) -> None:
    connection.exec_driver_sql("CREATE TABLE t (id int PRIMARY KEY, a int, seen int DEFAULT 9)")
    version(connection, "t", ["id"], exclude=["seen"])
    run(connection, "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
    run(connection, "UPDATE t SET a = 5, seen = 5 WHERE id = 1", "DELETE FROM t WHERE id = 2")
    repo.restore("HEAD~1")
    assert rows(connection, "t") == [(1, 1, 5), (2, 2, 9)]


def test_a_table_versioned_later_keeps_its_rows(connection: Connection, repo: Repository) -> None:
    _family(connection, "CASCADE")
    versioned(connection, "CREATE TABLE late (id int PRIMARY KEY)")
    run(connection, "INSERT INTO late VALUES (1)")
    version(connection, "late", ["id"])
    connection.commit()
    run(connection, "UPDATE parent SET name = 'new'")
    done = repo.restore("HEAD~2")
    assert set(done.unknown) == {"public.late"}
    assert rows(connection, "late") == [(1,)]
    with pytest.raises(BeforeVersioningError):
        repo.restore("HEAD~2", "late")


# ---------------------------------------------------------------------------- constraints


def test_tables_that_refer_to_each_other_in_a_circle(
    connection: Connection, repo: Repository
) -> None:
    versioned(
        connection,
        "CREATE TABLE a (id int PRIMARY KEY, b_id int NOT NULL)",
        "CREATE TABLE b (id int PRIMARY KEY, a_id int NOT NULL REFERENCES a)",
        "ALTER TABLE a ADD FOREIGN KEY (b_id) REFERENCES b",
        a=["id"],
        b=["id"],
    )
    fill = "WITH n AS (INSERT INTO a VALUES (1, 1)) INSERT INTO b VALUES (1, 1)"
    run(connection, fill)
    run(connection, "WITH n AS (DELETE FROM a) DELETE FROM b")
    repo.restore("HEAD~1")
    assert rows(connection, "a") == rows(connection, "b") == [(1, 1)]
    connection.commit()
    repo.restore("HEAD~1")
    assert rows(connection, "a") == rows(connection, "b") == []


def test_a_tree_that_refers_to_itself(connection: Connection, repo: Repository) -> None:
    made = "CREATE TABLE t (id int PRIMARY KEY, up int REFERENCES t)"
    versioned(connection, made, t=["id"])
    run(connection, "INSERT INTO t VALUES (1, NULL), (2, 1), (3, 2)")
    run(connection, "DELETE FROM t")
    run(connection, "INSERT INTO t VALUES (3, NULL), (2, 3), (1, 2)")
    repo.restore("HEAD~2")
    assert rows(connection, "t") == [(1, None), (2, 1), (3, 2)]
    repo.restore("HEAD~1")
    assert rows(connection, "t") == []


@pytest.mark.parametrize(
    ("sql_type", "one", "other"),
    [
        ("text NULL", "'a'", "'b'"),
        ("text NOT NULL", "'a'", "'b'"),
        ("varchar(8) NOT NULL", "'a'", "'b'"),
        ("int NOT NULL", "1", "2"),
        ("numeric NOT NULL", "1.5", "2"),
        ("date NOT NULL", "'2024-01-01'", "'2024-01-02'"),
        ("timestamptz NOT NULL", "'2024-01-01'", "'2024-01-02'"),
        ("uuid NOT NULL", "gen_random_uuid()", "gen_random_uuid()"),
    ],
)
def test_rows_that_exchange_a_unique_value(
    connection: Connection, repo: Repository, sql_type: str, one: str, other: str
) -> None:
    versioned(
        connection, f"CREATE TABLE t (id int PRIMARY KEY, v {sql_type}, UNIQUE (v))", t=["id"]
    )
    run(connection, f"INSERT INTO t VALUES (1, {one}), (2, {other})")
    before = rows(connection, "t")
    run(
        connection,
        "CREATE TEMP TABLE kept AS SELECT * FROM t",
        "DELETE FROM t",
        "INSERT INTO t SELECT 3 - id, v FROM kept",
    )
    assert rows(connection, "t") != before
    done = repo.restore("HEAD~1")
    assert rows(connection, "t") == before
    assert done.changes == {"public.t": {"UPDATE": 2}}


def test_unique_values_that_move_on_along_a_chain(connection: Connection, repo: Repository) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, v int UNIQUE)", t=["id"])
    run(connection, "INSERT INTO t SELECT i, i FROM generate_series(1, 50) i")
    run(
        connection,
        "DELETE FROM t WHERE id = 50",
        "UPDATE t SET v = v + 1000",
        "UPDATE t SET v = v - 999",
        "INSERT INTO t VALUES (99, 1)",
    )
    repo.restore("HEAD~1")
    assert rows(connection, "t") == sorted(((i, i) for i in range(1, 51)), key=repr)


def test_constraints_that_can_be_deferred_are(connection: Connection, repo: Repository) -> None:
    versioned(
        connection,
        "CREATE TABLE t (id int PRIMARY KEY, v int UNIQUE DEFERRABLE, "
        "w int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
        t=["id"],
    )
    run(connection, "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
    run(connection, "UPDATE t SET v = 3 - v, w = 3 - w")
    repo.restore("HEAD~1")
    assert rows(connection, "t") == [(1, 1, 1), (2, 2, 2)]
    connection.commit()
    assert repo.head.operation == "RESTORE"


def test_a_child_whose_old_parent_is_deleted_goes_to_its_new_one(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(
        connection,
        "INSERT INTO parent VALUES (3, 'c')",
        "UPDATE child SET parent_id = 3",
        "DELETE FROM parent WHERE id < 3",
    )
    done = repo.restore("HEAD~1")
    assert rows(connection, "child") == [(10, 1, "x"), (20, 2, "y")]
    assert done.changes == {
        "public.parent": {"DELETE": 1, "INSERT": 2},
        "public.child": {"UPDATE": 2},
    }


@pytest.mark.parametrize("action", ["NO ACTION", "RESTRICT"])
def test_rows_that_refer_to_deleted_ones_are_told_and_nothing_is_written(
    connection: Connection, repo: Repository, action: str
) -> None:
    _family(connection, action)
    with pytest.raises(ConstraintViolationError, match=r"2 rows of public\.child") as caught:
        repo.restore("HEAD~2", "parent")
    (violation,) = caught.value.violations
    assert (violation.kind, violation.constraint) == ("referenced", "child_parent_id_fkey")
    assert [dict(key) for key in violation.rows] == [{"id": 10}, {"id": 20}]
    assert len(rows(connection, "parent")) == 2


def test_children_that_would_cascade_are_planned_and_recorded(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    plan = repo.plan("HEAD~2", "parent")
    assert plan.summary()["public.child"] == {"INSERT": 0, "UPDATE": 0, "DELETE": 2}
    assert {row.origin for row in plan if row.table == "public.child"} == {"child_parent_id_fkey"}
    connection.rollback()
    done = repo.restore("HEAD~2", "parent")
    connection.commit()
    assert done.changes["public.child"] == {"DELETE": 2}
    assert done.commit.counts["public.child"] == {"delete": 2}


def test_children_whose_reference_would_be_cleared_are_planned(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "SET NULL")
    plan = repo.plan("HEAD~2", "parent")
    (first, _) = [row for row in plan if row.table == "public.child"]
    assert (first.operation, first.changed) == ("UPDATE", ("parent_id",))
    assert first.after == {"id": 10, "parent_id": None, "note": "x"}
    plan.execute()
    assert rows(connection, "child") == [(10, None, "x"), (20, None, "y")]


def _orders(connection: Connection, action: str) -> None:
    """Lines that refer to orders of their tenant; the second order and its line come last."""
    versioned(
        connection,
        "CREATE TABLE orders (tenant int, id int, PRIMARY KEY (tenant, id))",
        "CREATE TABLE line (id int PRIMARY KEY, tenant int NOT NULL, order_id int DEFAULT 1, "
        f"FOREIGN KEY (tenant, order_id) REFERENCES orders ON DELETE {action})",
        orders=["tenant", "id"],
        line=["id"],
    )
    run(connection, "INSERT INTO orders VALUES (7, 1)")
    run(connection, "INSERT INTO orders VALUES (7, 2)")
    run(connection, "INSERT INTO line VALUES (10, 7, 2)")


@pytest.mark.parametrize(
    ("action", "expected"), [("SET NULL (order_id)", None), ("SET DEFAULT (order_id)", 1)]
)
def test_some_columns_of_a_reference_are_set(
    connection: Connection, repo: Repository, action: str, expected: int | None
) -> None:
    if (connection.dialect.server_version_info or (0,)) < (15,):
        pytest.skip("the list of columns came with PostgreSQL 15")
    _orders(connection, action)
    plan = repo.plan("HEAD~2", "orders")
    (line,) = [row for row in plan if row.table == "public.line"]
    assert (line.operation, line.changed) == ("UPDATE", ("order_id",))
    assert line.after == {"id": 10, "tenant": 7, "order_id": expected}
    plan.execute()
    assert rows(connection, "line") == [(10, 7, expected)]


def test_a_reference_whose_default_has_no_row_is_told(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "SET DEFAULT")
    run(connection, "ALTER TABLE child ALTER parent_id SET DEFAULT 99")
    (violation,) = repo.plan("HEAD~2", "parent").violations
    assert (violation.kind, violation.table) == ("missing parent", "public.child")


def test_a_reference_without_a_default_is_cleared(connection: Connection, repo: Repository) -> None:
    _family(connection, "SET DEFAULT")
    done = repo.restore("HEAD~2", "parent")
    assert done.changes["public.child"] == {"UPDATE": 2}
    assert rows(connection, "child") == [(10, None, "x"), (20, None, "y")]


def test_rows_of_a_table_without_history_are_not_deleted_along(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(
        connection,
        "CREATE TABLE stray (id int PRIMARY KEY, p int REFERENCES parent ON DELETE CASCADE)",
        "INSERT INTO parent VALUES (3, 'c')",
        "INSERT INTO stray VALUES (1, 3)",
    )
    with pytest.raises(ConstraintViolationError, match=r"unversioned: 1 row of public\.stray"):
        repo.restore("HEAD~1")
    assert rows(connection, "stray") == [(1, 3)]


def test_a_row_whose_parent_would_be_missing_is_told(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "DELETE FROM parent WHERE id = 2")
    plan = repo.plan("HEAD~1", "child")
    (violation,) = plan.violations
    assert violation.kind == "missing parent"
    assert [dict(key) for key in violation.rows] == [{"id": 20}]
    with pytest.raises(ConstraintViolationError, match="missing parent"):
        plan.execute()


def test_a_column_that_may_be_null_no_longer_is_told(
    connection: Connection, repo: Repository
) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, a int)", t=["id"])
    run(connection, "INSERT INTO t VALUES (1, NULL)")
    run(connection, "UPDATE t SET a = 1", "ALTER TABLE t ALTER a SET NOT NULL")
    with pytest.raises(ConstraintViolationError, match="not null: 1 row"):
        repo.restore("HEAD~1")


def test_a_unique_value_that_another_row_has_is_told(
    connection: Connection, repo: Repository
) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, v int UNIQUE)", t=["id"])
    run(connection, "INSERT INTO t VALUES (1, 1)")
    run(connection, "UPDATE t SET v = 2", "INSERT INTO t VALUES (2, 1)")
    with pytest.raises(ConstraintViolationError, match="unique: 1 row"):
        repo.restore("HEAD~1", "t", keys=[1])


def test_a_check_that_the_old_rows_do_not_pass_is_told_by_its_name(
    connection: Connection, repo: Repository
) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, a int)", t=["id"])
    run(connection, "INSERT INTO t VALUES (1, -1)")
    run(connection, "UPDATE t SET a = 1", "ALTER TABLE t ADD CONSTRAINT positive CHECK (a > 0)")
    with pytest.raises(ConstraintViolationError) as caught:
        repo.restore("HEAD~1")
    assert caught.value.violations[0].constraint == "positive"
    assert rows(connection, "t") == [(1, 1)]


def test_a_trigger_that_changes_what_is_written_is_told(
    connection: Connection, repo: Repository
) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, a int)", t=["id"])
    run(connection, "INSERT INTO t VALUES (1, 1)")
    run(
        connection,
        "CREATE FUNCTION add_one() RETURNS trigger LANGUAGE plpgsql AS "
        "'BEGIN NEW.a := NEW.a + 100; RETURN NEW; END'",
        "CREATE TRIGGER add_one BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION add_one()",
        "UPDATE t SET a = 2",
    )
    with pytest.raises(AlteredRowsError, match="triggers='allow'"):
        repo.restore("HEAD~1")
    assert rows(connection, "t") == [(1, 102)]
    repo.restore("HEAD~1", triggers="allow")
    assert rows(connection, "t") == [(1, 101)]


# ------------------------------------------------------------------- partitions, families


def test_rows_of_partitions_return_to_theirs(connection: Connection, repo: Repository) -> None:
    versioned(
        connection,
        "CREATE TABLE t (id int, at int, a int, PRIMARY KEY (id, at)) PARTITION BY LIST (at)",
        "CREATE TABLE t1 PARTITION OF t FOR VALUES IN (1)",
        "CREATE TABLE t2 PARTITION OF t FOR VALUES IN (2)",
        t=["id", "at"],
    )
    run(connection, "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2)")
    run(connection, "UPDATE t SET at = 2 WHERE id = 1", "UPDATE t2 SET a = 9 WHERE id = 2")
    repo.restore("HEAD~1")
    assert rows(connection, "t1") == [(1, 1, 1)]
    assert rows(connection, "t2") == [(2, 2, 2)]


def test_members_of_an_inheritance_tree_are_restored_each(
    connection: Connection, repo: Repository
) -> None:
    versioned(
        connection,
        "CREATE TABLE base (id int PRIMARY KEY, a int)",
        "CREATE TABLE leaf (b int, PRIMARY KEY (id)) INHERITS (base)",
        base=["id"],
    )
    run(connection, "INSERT INTO base VALUES (1, 1)", "INSERT INTO leaf VALUES (2, 2, 2)")
    run(connection, "UPDATE base SET a = 9", "DELETE FROM base WHERE id = 1")
    run(connection, "INSERT INTO leaf VALUES (3, 3, 3)")
    assert [c.table for c in repo.diff("HEAD~2", "HEAD")] == ["public.base"] + ["public.leaf"] * 2
    repo.restore("HEAD~2")
    assert rows(connection, "ONLY base") == [(1, 1)]
    assert rows(connection, "leaf") == [(2, 2, 2)]


# ------------------------------------------------------------------------------- the plan


def test_a_plan_says_what_would_be_done_and_does_nothing(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "UPDATE child SET note = 'z' WHERE id = 10", "DELETE FROM child WHERE id = 20")
    plan = repo.plan("HEAD~1")
    found = [(r.table, r.operation, dict(r.key), r.changed) for r in plan]
    assert found == [
        ("public.child", "UPDATE", {"id": 10}, ("note",)),
        ("public.child", "INSERT", {"id": 20}, ()),
    ]
    assert rows(connection, "child") == [(10, 1, "z")]
    assert plan.execute() == {"public.child": {"UPDATE": 1, "INSERT": 1}}
    assert rows(connection, "child") == [(10, 1, "x"), (20, 2, "y")]
    with pytest.raises(CommitError, match="executed before"):
        plan.execute()


def test_a_plan_is_refused_when_somebody_committed_since(
    connection: Connection, repo: Repository, pg_engine: Engine
) -> None:
    _family(connection, "CASCADE")
    run(connection, "DELETE FROM child")
    plan = repo.plan("HEAD~1")
    with pg_engine.connect() as other:
        run(other, "INSERT INTO child VALUES (30, 1, 'late')")
    with pytest.raises(StaleParentError, match="make a new plan"):
        plan.execute()
    assert rows(connection, "child") == [(30, 1, "late")]


def test_a_plan_is_refused_when_the_transaction_wrote_since(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "DELETE FROM child")
    plan = repo.plan("HEAD~1")
    connection.execute(text("INSERT INTO child VALUES (10, 1, 'own')"))
    with pytest.raises(CommitError, match="new plan"):
        plan.execute()


def test_a_plan_for_a_condition_counts_all_rows_of_it(
    connection: Connection, repo: Repository
) -> None:
    _family(connection, "CASCADE")
    run(connection, "INSERT INTO child SELECT i, 1, 'n' FROM generate_series(100, 1500) i")
    plan = repo.plan("HEAD~1", "child")
    assert plan.summary() == {"public.child": {"INSERT": 0, "UPDATE": 0, "DELETE": 1401}}
    assert sum(1 for _ in plan) == 1401


# --------------------------------------------------------------------------------- racing


def test_edits_that_race_a_restore_come_before_or_after_it(
    connection: Connection, repo: Repository, pg_engine: Engine
) -> None:
    versioned(connection, "CREATE TABLE t (id int PRIMARY KEY, a int)", t=["id"])
    run(connection, "INSERT INTO t SELECT i, 0 FROM generate_series(1, 200) i")
    target = resolve(connection, "HEAD")
    state = rows(connection, "t")
    connection.commit()
    stop = threading.Event()

    def edit(first: int) -> None:
        with pg_engine.connect() as other:
            number = first
            while not stop.is_set():
                number += 3
                run(
                    other,
                    f"UPDATE t SET a = a + 1 WHERE id = {number % 200}",
                    f"INSERT INTO t VALUES ({1000 + number}, 1)",
                )

    editors = [threading.Thread(target=edit, args=(i,)) for i in range(3)]
    for editor in editors:
        editor.start()
    made = []
    for _ in range(8):
        done = repo.restore(target)
        assert rows(connection, "t") == state
        connection.commit()
        if done:
            made.append(done.commit)
    stop.set()
    for editor in editors:
        editor.join()
    assert made
    for commit in made:
        assert not repo.diff(target, commit)


def test_a_condition_holds_now_or_then(connection: Connection, repo: Repository) -> None:
    _family(connection, "CASCADE")
    run(connection, "UPDATE child SET note = 'new'")
    child = Table("child", MetaData(), autoload_with=connection)
    repo.restore("HEAD~1", "child", where=child.c.note == "x")
    assert rows(connection, "child") == [(10, 1, "x"), (20, 2, "new")]
