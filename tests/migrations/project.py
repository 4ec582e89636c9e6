"""An application with migrations, in a folder of the test's own, run by Alembic's commands."""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Engine, MetaData

import alembic_ext

_ENV = """
from alembic import context
import alembic_ext

alembic_ext.register()
given = context.config.attributes
options = dict(target_metadata=given["metadata"], compare_type=True, compare_server_default=True)
options |= given["options"]

if context.is_offline_mode():
    context.configure(
        dialect_name=given["engine"].dialect.name, literal_binds=True, **options
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    with given["engine"].connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True, **options)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
"""

_MAKO = '''
"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


@dataclass
class Project:
    """A folder of migrations over one database.

    Attributes:
        folder: where it lies.
        engine: the database.
        metadata: what the models declare.
        options: more arguments for ``context.configure()``.
    """

    folder: Path
    engine: Engine
    metadata: MetaData = field(default_factory=MetaData)
    options: dict[str, Any] = field(default_factory=dict)
    revisions: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "versions").mkdir(parents=True)
        (self.folder / "env.py").write_text(_ENV)
        (self.folder / "script.py.mako").write_text(_MAKO)

    def config(self, output: io.StringIO | None = None) -> Config:
        config = Config(output_buffer=output) if output else Config(stdout=io.StringIO())
        config.set_main_option("script_location", str(self.folder))
        config.set_main_option("path_separator", "os")
        config.attributes.update(engine=self.engine, metadata=self.metadata, options=self.options)
        return config

    def write(self, upgrade: str, downgrade: str = "pass") -> str:
        """Add a revision with these bodies; return its id."""
        number = f"r{len(self.revisions) + 1:02}"
        body = "\n".join(
            (
                "from alembic import op",
                "import sqlalchemy as sa",
                f"revision = {number!r}",
                f"down_revision = {(self.revisions[-1] if self.revisions else None)!r}",
                "def upgrade():",
                textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
                "def downgrade():",
                textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
            )
        )
        (self.folder / "versions" / f"{number}.py").write_text(body + "\n")
        self.revisions.append(number)
        return number

    def autogenerate(self, metadata: MetaData | None = None) -> str:
        """Let Alembic write a revision for ``metadata``; return its text."""
        self.metadata = metadata if metadata is not None else self.metadata
        number = f"r{len(self.revisions) + 1:02}"
        script = command.revision(self.config(), number, autogenerate=True, rev_id=number)
        assert isinstance(script, Script)
        self.revisions.append(number)
        return Path(script.path).read_text()

    def upgrade(self, to: str = "head") -> None:
        command.upgrade(self.config(), to)
        self.engine.dispose()  # sessions of the application begin anew after a migration

    def downgrade(self, to: str = "-1") -> None:
        command.downgrade(self.config(), to)
        self.engine.dispose()

    def check(self) -> None:
        """Raise when autogenerate would find something to do."""
        command.check(self.config())

    def differences(self, metadata: MetaData) -> list[Any]:
        """What autogenerate would find, wherever in the revisions the database is."""
        alembic_ext.register()
        options = {"compare_type": True, "compare_server_default": True, **self.options}
        with self.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts=options)
            return list(compare_metadata(context, metadata))

    def sql(self, revisions: str, *, down: bool = False) -> str:
        """What ``--sql`` writes."""
        output = io.StringIO()
        run = command.downgrade if down else command.upgrade
        run(self.config(output), revisions, sql=True)
        return output.getvalue()

    def heads(self) -> list[str]:
        return list(ScriptDirectory.from_config(self.config()).get_heads())
