"""Nobody has a fax any more; history keeps the numbers. Purchases come."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.drop_column("customer", "fax")
    op.create_table(
        "purchase",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("customer_id", sa.Integer(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["customer_id"], ["customer.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_purchase_customer_id"), "purchase", ["customer_id"])
    op.enable_versioning("purchase", template=1)


def downgrade() -> None:
    op.disable_versioning("purchase", template=1, drop_history=True)
    op.drop_table("purchase")
    op.add_column("customer", sa.Column("fax", sa.Text(), nullable=True))
