"""The data: the published releases of mime-db, each as changes to the one before."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from examples.mime.models import MediaType

Row = dict[str, Any]

_FILE: Final = Path(__file__).parent.parent / "data" / "mime_db_releases.jsonl.gz"
_COLUMNS: Final = ("source", "charset", "compressible")


@dataclass(frozen=True, slots=True)
class Release:
    """One release.

    Attributes:
        name: such as ``1.54.0``.
        date: the day of its publication.
        added: whole rows.
        changed: the key, and only the columns whose value differs.
        removed: keys.
        row_count: how many rows there are after it.
        sha256: of all rows after it, as published; see :func:`digest`.
    """

    name: str
    date: str
    added: list[Row]
    changed: list[Row]
    removed: list[str]
    row_count: int
    sha256: str


def read_releases() -> list[Release]:
    """Read the releases, oldest first."""
    with gzip.open(_FILE, "rt", encoding="utf-8") as lines:
        return [_release(json.loads(line)) for line in lines]


def _release(found: dict[str, Any]) -> Release:
    return Release(
        name=found["release"],
        date=found["date"],
        added=found["added"],
        changed=found["changed"],
        removed=found["removed"],
        row_count=found["row_count"],
        sha256=found["sha256"],
    )


def assign(media_type: MediaType, row: Row) -> None:
    """Give a media type the values of a published row, as far as the row has them."""
    for name in _COLUMNS:
        if name in row:
            setattr(media_type, name, row[name])
    if "extensions" in row:
        media_type.list_extensions(row["extensions"])


def as_row(media_type: MediaType) -> Row:
    """Return a media type in the form in which it is published."""
    columns = {name: getattr(media_type, name) for name in _COLUMNS}
    return {"type": media_type.type, **columns, "extensions": media_type.extension_names}


def digest(rows: Iterable[Row]) -> str:
    """Return the SHA-256 of rows in the form in which they are published."""
    lines = (
        json.dumps(row, sort_keys=True, ensure_ascii=False)
        for row in sorted(rows, key=lambda row: str(row["type"]))
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
