"""What records the changes of a table: triggers of the database, or the ORM."""

from __future__ import annotations

from sqlalchemy_temporal.errors import CaptureKindError


def kind_mismatch(label: str, found: str, declared: str) -> CaptureKindError:
    """The error that says that two ways of recording a table do not go together."""
    return CaptureKindError(
        f"table {label!r} is captured with capture={found!r} in this database, and declared with "
        f"capture={declared!r}: its changes would be recorded twice, or not at all. Declare what "
        "is there, or change what is there with sync_versioning(connection, table)"
    )


__all__ = ["kind_mismatch"]
