"""``repo.graph()``: commits with what is needed to draw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, select

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import all_nodes
from sqlalchemy_temporal.errors import UnknownOptionError
from sqlalchemy_temporal.repository.drawing import dot, text
from sqlalchemy_temporal.repository.drawing.lanes import GraphRow, lay_out
from sqlalchemy_temporal.repository.refs import Ref
from sqlalchemy_temporal.schema import SystemTables


@dataclass(frozen=True, slots=True)
class Graph:
    """Commits of the log, placed to be drawn; newest first.

    ``print(graph)`` draws it as text; rich's ``print`` draws it in colour.

    Attributes:
        rows: the commits with their places.
        names: the tags and branches, by commit.
    """

    rows: tuple[GraphRow, ...]
    names: Mapping[UUID, Sequence[Ref]] = field(repr=False)

    def __str__(self) -> str:
        """The drawing as plain text."""
        return self.text()

    def __rich__(self) -> Any:
        """The drawing in colour, for rich."""
        return self.rich()

    def text(self) -> str:
        """The drawing as plain text, as ``git log --graph`` shows it."""
        return "\n".join(text.lines(self.rows, self.names))

    def rich(self) -> Any:
        """The drawing as a ``rich.text.Text``.

        Raises:
            MissingExtraError: rich is not installed.
        """
        return text.rich_text(self.rows, self.names)

    def dot(self) -> str:
        """The graph in the DOT language of Graphviz."""
        return dot.dot_source(self.rows, self.names)

    def svg(self) -> str:
        """The graph as an SVG document.

        Raises:
            MissingExtraError: the package graphviz or the program ``dot`` is missing.
        """
        return dot.render(self.dot(), "svg").decode()

    def png(self) -> bytes:
        """The graph as a PNG image.

        Raises:
            MissingExtraError: the package graphviz or the program ``dot`` is missing.
        """
        return dot.render(self.dot(), "png")

    def save(self, path: str | Path) -> Path:
        """Write the graph to a file, in the form its name ends with: txt, dot, svg or png.

        Raises:
            UnknownOptionError: the name ends otherwise.
            MissingExtraError: the package graphviz or the program ``dot`` is missing.
        """
        target = Path(path)
        match target.suffix:
            case ".svg":
                target.write_text(self.svg(), encoding="utf-8")
            case ".png":
                target.write_bytes(self.png())
            case ".dot" | ".gv":
                target.write_text(self.dot(), encoding="utf-8")
            case ".txt":
                target.write_text(self.text() + "\n", encoding="utf-8")
            case other:
                raise UnknownOptionError(
                    f"save: a graph is written as .txt, .dot, .svg or .png, not {other!r}"
                )
        return target


def draw(
    connection: Connection,
    tables: SystemTables,
    commits: Sequence[Commit],
    refs: Iterable[Ref],
    *,
    complete: bool,
) -> Graph:
    """Place commits to be drawn.

    Parameters:
        connection: where to ask what lies between commits.
        tables: the library's own tables.
        commits: the commits, newest first.
        refs: all tags and branches.
        complete: whether no commit is missing between them.
    """
    names: dict[UUID, list[Ref]] = {}
    for ref in refs:
        names.setdefault(ref.commit_uuid, []).append(ref)
    parents: Mapping[UUID, Sequence[UUID]] = {each.uuid: each.parents for each in commits}
    if commits and not complete:
        parents = _nearest(connection, tables, commits)
    return Graph(tuple(lay_out(commits, parents)), names)


def _nearest(
    connection: Connection, tables: SystemTables, commits: Sequence[Commit]
) -> dict[UUID, tuple[UUID, ...]]:
    """For each commit those of the others that the way to its parents leads to first."""
    nodes = all_nodes(connection, tables)
    rows = connection.execute(
        select(nodes.c.uuid, nodes.c.parent_uuid, nodes.c.merge_parent_uuid)
        .where(nodes.c.seq.between(commits[-1].seq, commits[0].seq))
        .order_by(nodes.c.seq)
    )
    shown = {each.uuid for each in commits}
    leads_to: dict[UUID, tuple[UUID, ...]] = {}
    found: dict[UUID, tuple[UUID, ...]] = {}
    for uuid, *parents in rows:
        below = tuple(
            dict.fromkeys(each for parent in parents for each in leads_to.get(parent, ()))
        )
        if uuid in shown:
            found[uuid] = below
        leads_to[uuid] = (uuid,) if uuid in shown else below
    return found


__all__ = ["Graph", "draw"]
