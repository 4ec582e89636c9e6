"""``version.commit``: who made a version, when and why."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy_temporal.clock.commit import Commit
from sqlalchemy_temporal.clock.commits import commits_by_transaction
from sqlalchemy_temporal.model.place import place_of, session_of
from sqlalchemy_temporal.model.version import Version, info_of


def commit_of(version: Version) -> Commit | None:
    """The commit that made ``version``; None while its transaction is under way.

    The commits of versions that were loaded together are read together.

    Raises:
        DetachedObjectError: ``version`` belongs to no session and its commit was not
            read before.
    """
    place = place_of(version)
    tx_id = version.temporal_tx_id
    if place is None:
        return _read(version, [tx_id]).get(tx_id)
    if tx_id not in place.page.commits:
        company = place.page.company
        together = place.page.versions if company is None else company.versions
        wanted = [each.temporal_tx_id for each in together]
        place.page.commits.update(_read(version, wanted))
    return place.page.commits.get(tx_id)


def _read(version: Version, tx_ids: Iterable[int]) -> dict[int, Commit]:
    info = info_of(type(version))
    # Not through session.execute(): whatever the session does to statements about the
    # application's tables (as-of reading, tenant filters) is not meant for these.
    connection = session_of(version).connection(bind_arguments={"mapper": info.entity})
    return commits_by_transaction(connection, info.schema, tx_ids)


__all__ = ["commit_of"]
