"""Importing what SQLAlchemy-Continuum and sqlalchemy-history recorded."""

from __future__ import annotations

import subprocess
import sys
from datetime import timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import Engine, inspect, select, text

from sqlalchemy_temporal import (
    BeforeVersioningError,
    HistoryImportError,
    ImportResult,
    TemporalSession,
    import_continuum_history,
    versions_of,
)
from tests.imports.models import Article, Base, Tag, article_tag

TABLES = [Article, Tag, article_tag]
FIRST, SECOND = ("first", Decimal("1.00")), ("second", Decimal("2.50"))
REVISED, AGAIN = ("first, revised", Decimal("1.00")), ("second again", None)
DEARER, UNSEEN = ("first, revised", Decimal("1.10")), ("unseen", None)


def write(engine: Engine, package: str) -> Engine:
    url = engine.url.render_as_string(hide_password=False)
    program = str(Path(__file__).with_name("write_versions.py"))
    subprocess.run([sys.executable, program, package, url], check=True)
    return engine


@pytest.fixture(params=["sqlalchemy_continuum", "sqlalchemy_history"])
def either(any_engine: Engine, request: pytest.FixtureRequest) -> Engine:
    """A database in which an application of one of the libraries has written."""
    return write(any_engine, request.param)


@pytest.fixture
def recorded(any_engine: Engine) -> Engine:
    """A database in which an application of SQLAlchemy-Continuum has written."""
    return write(any_engine, "sqlalchemy_continuum")


def imported(engine: Engine) -> ImportResult:
    result = import_continuum_history(engine, TABLES, dry_run=False)
    Base.metadata.create_all(engine)
    return result


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def articles(engine: Engine, when: object) -> dict[int, tuple[str | None, Decimal | None]]:
    with TemporalSession(engine) as session, session.as_of(when) as past:  # type: ignore[arg-type]
        return {each.id: (each.name, each.price) for each in past.query(Article)}


def test_each_recorded_moment_reads_as_it_was(either: Engine) -> None:
    imported(either)
    assert articles(either, "HEAD~4") == {1: FIRST, 2: SECOND}
    assert articles(either, "HEAD~3") == {1: REVISED, 2: SECOND}
    assert articles(either, "HEAD~2") == {1: REVISED}
    assert articles(either, "HEAD~1") == {1: DEARER, 2: AGAIN}
    assert articles(either, "HEAD") == {1: DEARER, 2: AGAIN, 9: UNSEEN}


def test_associations_are_read_as_they_were(either: Engine) -> None:
    imported(either)
    with TemporalSession(either) as session:
        for when, expected in (("HEAD~3", [7]), ("HEAD~2", [])):
            with session.as_of(when) as past:
                assert [tag.id for tag in past.get_one(Article, 1).tags] == expected


def test_history_verifies_before_and_after_it_goes_on(either: Engine) -> None:
    imported(either)
    with TemporalSession(either) as session:
        assert session.repository.verify().ok
        session.get_one(Article, 9).name = "seen"
        session.commit()
        session.delete(session.get_one(Article, 1))
        session.commit()
        assert session.repository.verify().ok
    assert articles(either, "HEAD~2") == {1: DEARER, 2: AGAIN, 9: UNSEEN}
    assert articles(either, "HEAD") == {2: AGAIN, 9: ("seen", None)}


def test_versions_have_their_operations_authors_and_times(either: Engine) -> None:
    imported(either)
    times = 'SELECT issued_at FROM "transaction" ORDER BY id'
    with TemporalSession(either) as session:
        versions = session.get_one(Article, 1).versions
        assert [(v.operation, v.commit.author) for v in versions] == [
            ("INSERT", "1"),
            ("UPDATE", "2"),
            ("UPDATE", "2"),
        ]
        recorded = [str(each)[:26] for each in session.scalars(text(times))]
        kept = [v.commit.committed_at.replace(tzinfo=None) for v in versions]
        assert [str(each)[:26] for each in kept] == [recorded[0], recorded[1], recorded[3]]
        assert versions[0].commit.context["remote_addr"] == "10.0.0.1"
        second = versions_of(session, Article, 2)
        assert [each.operation for each in second] == ["INSERT", "INSERT"]


def test_recorded_times_are_moments_and_none_is_before_them(recorded: Engine) -> None:
    result = imported(recorded)
    assert articles(recorded, result.first) == {1: FIRST, 2: SECOND}
    assert articles(recorded, result.last) == {1: DEARER, 2: AGAIN}
    with pytest.raises(BeforeVersioningError):
        articles(recorded, result.first - timedelta(microseconds=1))


def test_rows_as_recorded_have_no_version_of_the_import(recorded: Engine) -> None:
    result = imported(recorded)
    (told,) = (each for each in result.tables if each.table == "public.article")
    assert (told.current, told.changed_since, told.unrecorded) == (2, 0, 1)
    with TemporalSession(recorded) as session:
        assert session.get_one(Article, 9).versions[0].commit.operation == "BASELINE"
        assert session.get_one(Article, 1).versions[-1].commit.operation == "IMPORT"


def test_what_changed_unrecorded_changes_with_the_import(recorded: Engine) -> None:
    run(recorded, "UPDATE article SET name = 'quietly' WHERE id = 1", "DELETE FROM article_tag")
    run(recorded, "DELETE FROM article WHERE id = 2")
    result = imported(recorded)
    (told,) = (each for each in result.tables if each.table == "public.article")
    assert (told.changed_since, told.gone_since) == (1, 1)
    assert articles(recorded, "HEAD~1") == {1: DEARER, 2: AGAIN}
    assert articles(recorded, "HEAD") == {1: ("quietly", Decimal("1.10")), 9: UNSEEN}
    with TemporalSession(recorded) as session:
        assert session.repository.verify().ok


def test_a_dry_run_is_the_default_and_changes_nothing(recorded: Engine) -> None:
    before = inspect(recorded).get_table_names()
    result = import_continuum_history(recorded, TABLES)
    told = {each.table: (each.inserted, each.updated, each.deleted) for each in result.tables}
    assert told == {
        "public.article": (3, 2, 1),
        "public.tag": (1, 0, 0),
        "public.article_tag": (1, 0, 1),
    }
    assert (result.dry_run, result.commits, result.versions) == (True, 4, 7)
    assert "4 commits with 7 versions would be imported" in str(result)
    assert inspect(recorded).get_table_names() == before
    assert imported(recorded).to_dict() == {**result.to_dict(), "dry_run": False}


def test_authors_and_messages_are_told_by_the_caller(recorded: Engine) -> None:
    import_continuum_history(
        recorded,
        ["article"],
        dry_run=False,
        missing="null",
        author=lambda row: f"user {row['user_id']}",
        message=lambda row: f"from {row['remote_addr']}",
    )
    with TemporalSession(recorded) as session:
        oldest = session.repository.log(operation="IMPORT")[-1]
        assert (oldest.author, oldest.message) == ("user 1", "from 10.0.0.1")


def test_progress_is_told(recorded: Engine) -> None:
    told: list[tuple[int, int]] = []
    import_continuum_history(
        recorded, TABLES, dry_run=False, progress=lambda *each: told.append(each)
    )
    assert told == [(4, 4)]


def test_in_a_callers_transaction_it_is_rolled_back_with_it(recorded: Engine) -> None:
    before = inspect(recorded).get_table_names()
    with recorded.connect() as connection:
        import_continuum_history(connection, TABLES, dry_run=False)
        connection.rollback()
    assert inspect(recorded).get_table_names() == before
    imported(recorded)
    assert articles(recorded, "HEAD~4") == {1: FIRST, 2: SECOND}


@pytest.mark.postgresql
def test_triggers_of_the_application_do_not_run_and_stay_as_they_were(recorded: Engine) -> None:
    run(
        recorded,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'no'; END $$",
        *(
            f"CREATE TRIGGER {name} BEFORE UPDATE ON article FOR EACH ROW EXECUTE FUNCTION refuse()"
            for name in ("origin", "always", "off")
        ),
        "ALTER TABLE article ENABLE ALWAYS TRIGGER always",
        "ALTER TABLE article DISABLE TRIGGER off",
    )
    imported(recorded)
    with recorded.connect() as connection:
        states = connection.execute(
            text(
                "SELECT tgname, tgenabled::text FROM pg_trigger WHERE tgname IN "
                "('origin', 'always', 'off') ORDER BY 1"
            )
        ).all()
    assert [tuple(each) for each in states] == [("always", "A"), ("off", "D"), ("origin", "O")]


def test_columns_that_were_not_recorded_are_refused_unless_they_may_be_null(
    recorded: Engine,
) -> None:
    with pytest.raises(HistoryImportError, match=r"column\(s\) views"):
        import_continuum_history(recorded, ["article"], dry_run=False)
    result = import_continuum_history(recorded, ["article"], dry_run=False, missing="null")
    assert result.tables[0].unknown == ("views",)
    assert result.tables[0].changed_since == 2


def test_renamed_columns_are_found_by_their_recorded_names(recorded: Engine) -> None:
    run(recorded, "ALTER TABLE article RENAME COLUMN name TO title")
    run(recorded, "ALTER TABLE article DROP COLUMN views")
    rename = {"article": {"title": "name"}}
    import_continuum_history(recorded, ["article"], dry_run=False, rename=rename)
    with TemporalSession(recorded) as session:
        (first, *_) = session.repository.diff("HEAD~4", "HEAD~3")
        assert first.cells == {"title": ("first", "first, revised")}


def test_imported_commits_come_first_or_not_at_all(recorded: Engine) -> None:
    imported(recorded)
    with pytest.raises(HistoryImportError, match="must come before all others"):
        import_continuum_history(recorded, TABLES)


def test_what_does_not_fit_is_refused(recorded: Engine) -> None:
    with pytest.raises(HistoryImportError, match="version_table="):
        import_continuum_history(recorded, TABLES, version_table="%s_log")
    with pytest.raises(HistoryImportError, match="name the tables"):
        import_continuum_history(recorded, [])
    with pytest.raises(HistoryImportError, match="versions no column"):
        import_continuum_history(recorded, TABLES, rename={"article": {"titel": "name"}})
    west = timezone(timedelta(hours=-10))
    with pytest.raises(HistoryImportError, match="has not come yet"):
        import_continuum_history(recorded, TABLES, timezone=west)


def test_versions_without_their_transaction_are_refused(recorded: Engine) -> None:
    run(recorded, 'DELETE FROM "transaction" WHERE id = 2')
    with pytest.raises(HistoryImportError, match="not in 'transaction': 2"):
        import_continuum_history(recorded, TABLES)


def test_nothing_recorded_is_nothing_to_import(recorded: Engine) -> None:
    run(recorded, "DELETE FROM tag_version")
    with pytest.raises(HistoryImportError, match="recorded nothing of"):
        import_continuum_history(recorded, [Tag])


def test_recorded_tables_stay_as_they_are(recorded: Engine) -> None:
    imported(recorded)
    with recorded.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM article_version")) == 6


def test_a_deletion_behind_an_imported_version_is_read_as_one(recorded: Engine) -> None:
    imported(recorded)
    with TemporalSession(recorded) as session:
        session.execute(article_tag.delete())
        session.delete(session.get_one(Article, 2))
        session.commit()
        assert session.scalars(select(Article.id).order_by(Article.id)).all() == [1, 9]
        assert versions_of(session, Article, 2)[-1].name == "second again"
