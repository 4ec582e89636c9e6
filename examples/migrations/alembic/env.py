"""What Alembic runs first: which database, which models, and what versioning adds."""

import os

from alembic import context
from sqlalchemy import create_engine

import alembic_ext
from examples.migrations.models import Base

alembic_ext.register()  # the one line that versioning needs

url = context.config.attributes.get("url") or os.environ.get("DATABASE_URL", "postgresql://")

if context.is_offline_mode():
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            transaction_per_migration=True,  # each revision is a commit of its own
        )
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
