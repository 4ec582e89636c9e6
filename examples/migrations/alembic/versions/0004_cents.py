"""Credit in cents: history is converted with the table."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.alter_column("customer", "credit", existing_type=sa.Integer(), type_=sa.Numeric(10, 2))


def downgrade() -> None:
    op.alter_column("customer", "credit", existing_type=sa.Numeric(10, 2), type_=sa.Integer())
