"""Customers, recorded from the first day."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "customer",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("fax", sa.Text(), nullable=True),
        sa.Column("credit", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.enable_versioning("customer", template=1)


def downgrade() -> None:
    op.disable_versioning("customer", template=1, drop_history=True)
    op.drop_table("customer")
