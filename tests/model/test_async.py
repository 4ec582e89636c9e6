"""Versions under asyncio."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlalchemy_temporal.model.changes import Change
from sqlalchemy_temporal.model.declare import Versioned
from sqlalchemy_temporal.model.versions import versions_of


class Base(DeclarativeBase):
    pass


class Customer(Versioned, Base):
    __tablename__ = "customers"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


async def prepared(engine: AsyncEngine) -> AsyncSession:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    return AsyncSession(engine)


async def test_load_reads_all_versions(async_pg_engine: AsyncEngine) -> None:
    async with await prepared(async_pg_engine) as session:
        customer = Customer(id=1, name="Ana")
        session.add(customer)
        await session.commit()
        await session.refresh(customer)
        customer.name = "Bea"
        await session.commit()

        versions = await customer.versions.load()
        assert [v.name for v in versions] == ["Ana", "Bea"]
        assert versions[1].previous is versions[0]
        assert versions[1].changeset == {"name": Change("Ana", "Bea")}


async def test_by_key_through_an_async_session(async_pg_engine: AsyncEngine) -> None:
    async with await prepared(async_pg_engine) as session:
        session.add(Customer(id=1, name="Ana"))
        await session.commit()
        versions = await versions_of(session, Customer, 1).load()
        assert [v.name for v in versions] == ["Ana"]


async def test_everything_works_in_run_sync(async_pg_engine: AsyncEngine) -> None:
    async with await prepared(async_pg_engine) as session:
        customer = Customer(id=1, name="Ana")
        session.add(customer)
        await session.commit()

        def look(_: Any) -> tuple[int, str, bool]:
            version = customer.versions[-1]
            return len(customer.versions), version.name, version.commit is not None

        assert await session.run_sync(look) == (1, "Ana", True)
