"""A name is a full name; hinted at in the model, so that it is no drop and no creation."""

from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.alter_column("customer", "name", new_column_name="full_name")


def downgrade() -> None:
    op.alter_column("customer", "full_name", new_column_name="name")
