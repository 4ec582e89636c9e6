"""The application after it has moved: the same tables, versioned by us."""

from __future__ import annotations

from decimal import Decimal

from sqlalchemy import Column, ForeignKey, Numeric, Table, Unicode
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sqlalchemy_temporal import Versioned, versioned_table


class Base(DeclarativeBase):
    pass


article_tag = versioned_table(
    Table(
        "article_tag",
        Base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )
)


class Tag(Versioned, Base):
    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(primary_key=True)


class Article(Versioned, Base):
    __tablename__ = "article"
    __versioned__ = {"exclude": ["views"]}
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str | None] = mapped_column(Unicode(100))
    price: Mapped[Decimal | None] = mapped_column(Numeric(10, 2))
    views: Mapped[int | None] = mapped_column(default=0)
    tags: Mapped[list[Tag]] = relationship(secondary=article_tag)
