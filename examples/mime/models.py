"""The models: media types and their file extensions, both versioned."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ForeignKey, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sqlalchemy_temporal import Versioned

SCHEMA = "mime_demo"


class Base(DeclarativeBase):
    """The tables lie in a schema of their own, beside whatever the database holds."""

    metadata = MetaData(schema=SCHEMA)


class MediaType(Versioned, Base):
    """A media type, such as ``image/png``."""

    __tablename__ = "media_types"

    type: Mapped[str] = mapped_column(primary_key=True)
    source: Mapped[str | None]
    charset: Mapped[str | None]
    compressible: Mapped[bool | None]
    has_extensions: Mapped[bool]  # "no list" and "an empty list" are two things

    extensions: Mapped[list[Extension]] = relationship(
        back_populates="media_type",
        order_by="Extension.position",
        cascade="all, delete-orphan",
        passive_deletes=True,
    )

    def list_extensions(self, names: Sequence[str] | None) -> None:
        """Set which file extensions the type has, in this order; None for no list at all."""
        known = {extension.name: extension for extension in self.extensions}
        chosen = [known.get(name) or Extension(name=name) for name in names or ()]
        for position, extension in enumerate(chosen):
            extension.position = position
        self.extensions = chosen
        self.has_extensions = names is not None

    @property
    def extension_names(self) -> list[str] | None:
        """The file extensions in their order, or None when there is no list."""
        return [extension.name for extension in self.extensions] if self.has_extensions else None


class Extension(Versioned, Base):
    """One file extension of one media type; several types may claim the same one."""

    __tablename__ = "extensions"

    type: Mapped[str] = mapped_column(
        ForeignKey(MediaType.type, ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int]

    media_type: Mapped[MediaType] = relationship(back_populates="extensions")
