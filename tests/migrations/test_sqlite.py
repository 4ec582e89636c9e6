"""Migrations on SQLite, whose batch mode copies tables into new ones."""

from __future__ import annotations

import pytest

from sqlalchemy_temporal.errors import HistoryConversionError
from tests.migrations.ledger import Ledger
from tests.migrations.project import Project
from tests.migrations.test_autogenerate import STEPS
from tests.migrations.test_sequence import Step

UNSUITABLE = {
    "schema of history",  # no schemas
    "enum value added by hand",  # a check of its own
}


@pytest.mark.parametrize("step", sorted(STEPS.keys() - UNSUITABLE))
def test_a_change_is_found_written_run_undone_and_silent_then(
    sqlite_project: Project, step: str
) -> None:
    before, after, *_ = STEPS[step]
    project = sqlite_project
    project.autogenerate(before())
    project.upgrade()
    project.check()
    project.autogenerate(after())
    project.upgrade()
    project.check()
    project.downgrade()
    assert project.differences(before()) == []
    project.upgrade()
    project.check()
    project.downgrade("base")


def batch(table: str, change: str) -> str:
    return f"with op.batch_alter_table({table!r}) as batch:\n    batch.{change}"


SEQUENCE = (
    Step(
        """
        op.create_table(
            "product",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.Text),
            sa.Column("price", sa.Numeric(10, 2)),
        )
        op.enable_versioning("product", template=1)
        """,
        "op.disable_versioning('product', drop_history=True); op.drop_table('product')",
    ),
    Step(
        "op.add_column('product', sa.Column('note', sa.Text))",
        batch("product", "drop_column('note')"),
    ),
    Step(
        batch("product", "add_column(sa.Column('stock', sa.Integer, server_default='5'))"),
        batch("product", "drop_column('stock')"),
    ),
    Step(
        batch("product", "alter_column('name', new_column_name='title')"),
        batch("product", "alter_column('title', new_column_name='name')"),
        lambda past: past.renamed("product", "name", "title"),
        lambda past: past.renamed("product", "title", "name"),
    ),
    Step(
        batch("product", "alter_column('stock', type_=sa.Float)"),
        batch("product", "alter_column('stock', type_=sa.Integer)"),
        lambda past: past.converted("product", "stock", float),
        lambda past: past.converted("product", "stock", int),
    ),
    Step(
        batch("product", "drop_column('note')"),
        "op.add_column('product', sa.Column('note', sa.Text))",
    ),
    Step(
        "op.rename_table('product', 'article')",
        "op.rename_table('article', 'product')",
        lambda past: past.moved("product", "article"),
        lambda past: past.moved("article", "product"),
    ),
    Step(
        "op.add_column('article', sa.Column('rating', sa.Integer))\n"
        "op.backfill_versioning('article', {'rating': 3})",
        batch("article", "drop_column('rating')"),
        lambda past: past.backfilled("article", "rating", 3),
    ),
    Step(
        batch("article", "alter_column('title', nullable=False, server_default='?')"),
        batch("article", "alter_column('title', nullable=True, server_default=None)"),
    ),
)


def test_every_moment_answers_in_the_present_shape_up_and_down(sqlite_project: Project) -> None:
    project, past = sqlite_project, Ledger(sqlite_project.engine)
    for step in SEQUENCE:
        project.write(step.upgrade, step.downgrade)
        project.upgrade()
        step.after(past)
        past.check(some=4)
        past.churn()
    past.check()
    for step in reversed(SEQUENCE[1:]):
        project.downgrade()
        step.undone(past)
        past.check(some=4)
        past.churn()
    past.check()


def test_a_text_that_is_no_number_is_named_and_not_made_nought(sqlite_project: Project) -> None:
    project = sqlite_project
    project.write(SEQUENCE[0].upgrade)
    project.upgrade()
    with project.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO product (id, name) VALUES (1, 'many')")
    project.write(batch("product", "alter_column('name', type_=sa.Integer)"))
    with pytest.raises(HistoryConversionError, match="id=1 in product: 'many'"):
        project.upgrade()
