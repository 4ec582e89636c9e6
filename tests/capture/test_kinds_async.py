"""Recording without triggers through the drivers of asyncio, by keys of several types."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal import AsyncTemporalSession, Versioned


class Colour(Enum):
    red = "r"
    blue = "b"


class Base(DeclarativeBase):
    pass


class Plain(Base):
    __abstract__ = True
    name: Mapped[str]


class Entry(Versioned, Plain):
    __tablename__ = "entry"
    __versioned__ = {"capture": "orm"}
    id: Mapped[UUID] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    colour: Mapped[Colour] = mapped_column(primary_key=True)
    price: Mapped[Decimal] = mapped_column(primary_key=True)


def key() -> dict[str, Any]:
    return {
        "id": uuid4(),
        "day": date(2024, 2, 29),
        "colour": Colour.red,
        "price": Decimal("1.50"),
    }


@pytest.mark.postgresql
async def test_keys_of_any_type_are_recorded_through_asyncio(async_pg_engine: AsyncEngine) -> None:
    async with async_pg_engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    first, second = key(), key()
    async with AsyncTemporalSession(async_pg_engine) as session:
        session.add_all([Entry(**first, name="a"), Entry(**second, name="a")])
        await session.commit()
    async with AsyncTemporalSession(async_pg_engine) as session:
        for entry in await session.scalars(select(Entry)):
            entry.name = "b"
        await session.commit()
        statement = insert(Entry).values(**first, name="c")
        await session.execute(
            statement.on_conflict_do_update(
                index_elements=[*first], set_={"name": statement.excluded.name}
            )
        )
        await session.commit()
        await session.execute(update(Entry).where(Entry.day > date(2024, 1, 1)).values(name="d"))
        await session.execute(delete(Entry).where(Entry.id == second["id"]))
        await session.commit()
    async with AsyncTemporalSession(async_pg_engine) as session:
        seen = []
        for back in range(3, -1, -1):
            async with session.as_of(f"HEAD~{back}") as past:
                found = {each.id: each.name for each in await past.scalars(select(Entry))}
                seen.append([found.get(each["id"]) for each in (first, second)])
    assert seen == [["a", "a"], ["b", "b"], ["c", "b"], ["d", None]]
