"""The graph in the DOT language, and rendered by Graphviz."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal
from uuid import UUID

from sqlalchemy_temporal.errors import MissingExtraError
from sqlalchemy_temporal.repository.drawing.lanes import GraphRow
from sqlalchemy_temporal.repository.refs import BRANCH, Ref

Format = Literal["svg", "png"]


def dot_source(rows: Sequence[GraphRow], names: Mapping[UUID, Sequence[Ref]]) -> str:
    """The graph in the DOT language: newest commit on top, edges lead to parents."""
    return "\n".join(
        (
            "digraph commits {",
            '  node [shape=box, style="rounded,filled", fillcolor="#eef3f8", fontname=Helvetica];',
            '  edge [color="#556677"];',
            *_statements(rows, names),
            "}\n",
        )
    )


def render(source: str, form: Format) -> bytes:
    """Let Graphviz draw DOT source.

    Raises:
        MissingExtraError: the Python package or the program ``dot`` is missing.
    """
    try:
        import graphviz
    except ImportError as error:
        raise MissingExtraError(
            "drawing SVG and PNG needs the Python package graphviz; install "
            "sqlalchemy-temporal[graph]"
        ) from error
    try:
        drawn: bytes = graphviz.Source(source).pipe(format=form)
    except graphviz.ExecutableNotFound as error:
        raise MissingExtraError(
            "drawing SVG and PNG needs the program dot of Graphviz on the PATH; install it with "
            "e.g. 'apt-get install graphviz' or 'brew install graphviz', or use the graph's "
            "dot() source elsewhere"
        ) from error
    return drawn


def _statements(rows: Sequence[GraphRow], names: Mapping[UUID, Sequence[Ref]]) -> Iterator[str]:
    shown = {row.commit.uuid for row in rows}
    for row in rows:
        commit = row.commit
        message = (commit.message or f"[{commit.operation}]").partition("\n")[0]
        label = [commit.short, message, *([commit.author] if commit.author else [])]
        faded = ', style="rounded,dashed"' if commit.is_deleted else ""
        yield f"  {_quoted(str(commit.uuid))} [label={_label(label)}{faded}];"
        for number, parent in enumerate(row.parents):
            if parent in shown:
                style = " [style=dashed]" if number else ""
                yield f"  {_quoted(str(commit.uuid))} -> {_quoted(str(parent))}{style};"
        for ref in names.get(commit.uuid, ()):
            colour = "#cfe8cf" if ref.kind == BRANCH else "#f6e3b4"
            name = f"HEAD -> {ref.name}" if ref.is_current else ref.name
            node = _quoted(ref.full_name)
            looks = f'shape=note, style=filled, fillcolor="{colour}"'
            yield f"  {node} [label={_label([name])}, {looks}];"
            yield f"  {node} -> {_quoted(str(commit.uuid))} [style=dotted, arrowhead=none];"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _label(parts: Sequence[str]) -> str:
    escaped = (part.replace("\\", "\\\\").replace('"', '\\"') for part in parts)
    return '"' + "\\n".join(escaped) + '"'


__all__ = ["Format", "dot_source", "render"]
