"""A long history of migrations, up and down, with data checked as of every moment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from tests.migrations.ledger import Ledger
from tests.migrations.project import Project


def nothing(_: Ledger) -> None:
    """The past looks as it did."""


def tenths(price: Decimal) -> Decimal:
    return price.quantize(Decimal("0.1"), rounding="ROUND_HALF_UP")


@dataclass(frozen=True)
class Step:
    """One revision, and what it and its reverse do to what was."""

    upgrade: str
    downgrade: str
    after: Callable[[Ledger], None] = nothing
    undone: Callable[[Ledger], None] = nothing


STEPS = (
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
        "op.add_column('product', sa.Column('note', sa.String(50)))",
        "op.drop_column('product', 'note')",
    ),
    Step(
        "op.add_column('product', sa.Column('stock', sa.Integer, server_default='5', "
        "nullable=False))",
        "op.drop_column('product', 'stock')",
    ),
    Step(
        "op.alter_column('product', 'name', new_column_name='title')",
        "op.alter_column('product', 'title', new_column_name='name')",
        lambda past: past.renamed("product", "name", "title"),
        lambda past: past.renamed("product", "title", "name"),
    ),
    Step(
        "op.alter_column('product', 'stock', type_=sa.BigInteger)",
        "op.alter_column('product', 'stock', type_=sa.Integer)",
    ),
    Step(
        "op.alter_column('product', 'price', type_=sa.Numeric(12, 1))",
        "op.alter_column('product', 'price', type_=sa.Numeric(10, 2))",
        lambda past: past.converted("product", "price", tenths),
    ),
    Step(
        "op.alter_column('product', 'note', type_=sa.Text, existing_nullable=True)",
        "op.alter_column('product', 'note', type_=sa.String(60))",
    ),
    Step(
        "op.drop_column('product', 'note')",
        "op.add_column('product', sa.Column('note', sa.Text))",
        nothing,
        lambda past: past.forgotten("product", "note"),  # another column, of integers, had it
    ),
    Step(
        "op.add_column('product', sa.Column('note', sa.Integer))",
        "op.drop_column('product', 'note')",
        lambda past: past.forgotten("product", "note"),
    ),
    Step(
        """
        op.create_table(
            "sale",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("product_id", sa.Integer, sa.ForeignKey("product.id", ondelete="CASCADE")),
            sa.Column("amount", sa.Integer),
        )
        op.enable_versioning("sale", template=1)
        """,
        "op.disable_versioning('sale', drop_history=True); op.drop_table('sale')",
        nothing,
        lambda past: past.dropped("sale"),
    ),
    Step(
        "op.rename_table('product', 'article')",
        "op.rename_table('article', 'product')",
        lambda past: past.moved("product", "article"),
        lambda past: past.moved("article", "product"),
    ),
    Step(
        """
        op.add_column('article', sa.Column('rating', sa.Integer))
        op.backfill_versioning('article', {'rating': 3})
        """,
        "op.drop_column('article', 'rating')",
        lambda past: past.backfilled("article", "rating", 3),
    ),
    Step(
        "op.alter_column('article', 'title', nullable=False, server_default='?')",
        "op.alter_column('article', 'title', nullable=True, server_default=None)",
    ),
    Step(
        "op.create_index('ix_amount', 'sale', ['amount']); "
        "op.create_check_constraint('positive', 'sale', 'amount > 0')",
        "op.drop_constraint('positive', 'sale'); op.drop_index('ix_amount')",
    ),
    Step(
        """
        op.execute("CREATE TYPE mood AS ENUM ('sad')")
        op.add_column('article', sa.Column('mood', sa.Enum('sad', name='mood')))
        """,
        "op.drop_column('article', 'mood')",
    ),
    Step(
        """
        with op.get_context().autocommit_block():
            op.execute("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'glad'")
        """,
        "pass",
    ),
    Step(
        "op.rename_versioned_table('sale', 'sale', new_schema='sales', template=1)",
        "op.rename_versioned_table('sale', 'sale', schema='sales', new_schema='public')",
    ),
    Step(
        """
        with op.batch_alter_table('article') as batch:
            batch.add_column(sa.Column('colour', sa.Text))
            batch.alter_column('rating', new_column_name='stars')
            batch.drop_column('note')
        """,
        """
        with op.batch_alter_table('article') as batch:
            batch.drop_column('colour')
            batch.alter_column('stars', new_column_name='rating')
            batch.add_column(sa.Column('note', sa.Integer))
        """,
        lambda past: past.renamed("article", "rating", "stars"),
        lambda past: past.renamed("article", "stars", "rating"),
    ),
    Step(
        "op.alter_column('article', 'stock', type_=sa.Text, postgresql_using=\"'n' || stock\")",
        "op.alter_column('article', 'stock', type_=sa.BigInteger, "
        "postgresql_using=\"rtrim(ltrim(stock, 'n'), '!')::bigint\")",
        lambda past: past.converted("article", "stock", lambda stock: f"n{stock}"),
        lambda past: past.converted("article", "stock", lambda stock: int(stock.strip("n!"))),
    ),
)


def test_every_moment_answers_in_the_present_shape_up_and_down(project: Project) -> None:
    past = Ledger(project.engine)
    for step in STEPS:
        project.write(step.upgrade, step.downgrade)
        project.upgrade()
        step.after(past)
        past.check(some=4)
        past.churn()
    past.check()
    past.verify()
    for step in reversed(STEPS[1:]):
        project.downgrade()
        step.undone(past)
        past.check(some=4)
        past.churn()
    past.check()
    past.verify()
