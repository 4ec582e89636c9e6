"""Tiers: everybody begins as basic, and had none before."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.expect_versioning(
        "customer",
        key=["id"],
        columns={
            "id": "integer",
            "name": "character varying(80)",
            "fax": "text",
            "credit": "integer",
        },
        template=1,
    )
    op.add_column("customer", sa.Column("tier", sa.Text(), server_default="basic", nullable=False))


def downgrade() -> None:
    op.drop_column("customer", "tier")
