"""Write with SQLAlchemy-Continuum or sqlalchemy-history, as an application of theirs does.

A program of its own: both put listeners on every mapper and session of a process.
"""

from __future__ import annotations

import importlib
import sys
import time
from decimal import Decimal
from typing import Any

from sqlalchemy import Column, ForeignKey, Integer, Numeric, Table, Unicode, create_engine, text
from sqlalchemy.orm import Session, configure_mappers, declarative_base, relationship


def main(package: str, url: str) -> None:
    library: Any = importlib.import_module(package)
    options = {"strategy": "validity"} if package == "sqlalchemy_continuum" else {}
    library.make_versioned(user_cls="User", options=options)
    base: Any = declarative_base()

    class User(base):
        __tablename__ = "account"
        id = Column(Integer, primary_key=True)

    article_tag = Table(
        "article_tag",
        base.metadata,
        Column("article_id", ForeignKey("article.id"), primary_key=True),
        Column("tag_id", ForeignKey("tag.id"), primary_key=True),
    )

    class Tag(base):
        __tablename__ = "tag"
        __versioned__: dict[str, Any] = {}
        id = Column(Integer, primary_key=True)

    class Article(base):
        __tablename__ = "article"
        __versioned__ = {"exclude": ["views"]}
        id = Column(Integer, primary_key=True)
        name = Column(Unicode(100))
        price = Column(Numeric(10, 2))
        views = Column(Integer, default=0)
        tags = relationship(Tag, secondary=article_tag)

    configure_mappers()
    engine = create_engine(url)
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([User(id=1), User(id=2)])
        session.commit()

        def commit(user: int) -> None:
            session.flush()
            session.execute(
                text(
                    "UPDATE \"transaction\" SET user_id = :user, remote_addr = '10.0.0.1' "
                    'WHERE id = (SELECT max(id) FROM "transaction")'
                ),
                {"user": user},
            )
            session.commit()
            time.sleep(0.01)

        first = Article(id=1, name="first", price=Decimal("1.00"), tags=[Tag(id=7)])
        session.add_all([first, Article(id=2, name="second", price=Decimal("2.50"))])
        commit(1)
        first.name = "first, revised"
        commit(2)
        first.tags = []
        session.delete(session.get(Article, 2))
        commit(1)
        session.add(Article(id=2, name="second again", price=None))
        first.price = Decimal("1.10")
        commit(2)
        # Behind the back of listeners:
        session.execute(text("INSERT INTO article (id, name, views) VALUES (9, 'unseen', 0)"))
        session.commit()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
