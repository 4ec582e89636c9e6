"""Write with postgresql-audit, as an application of it does: a program of its own."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import Any

from postgresql_audit import VersioningManager
from sqlalchemy import Column, Integer, Numeric, Unicode, create_engine, text
from sqlalchemy.dialects.postgresql import ARRAY, JSON, TIMESTAMP
from sqlalchemy.orm import Session, configure_mappers, declarative_base


def main(url: str) -> None:
    base: Any = declarative_base()
    engine = create_engine(url)

    class Product(base):
        __tablename__ = "product"
        id = Column(Integer, primary_key=True)
        name = Column(Unicode(100))
        price = Column(Numeric(10, 2))
        labels = Column(ARRAY(Unicode))
        about = Column(JSON)
        since = Column(TIMESTAMP(timezone=True))
        views = Column(Integer, default=0)

    base.metadata.create_all(engine)
    with Session(engine) as session:  # before there was any audit
        session.add(Product(id=1, name="old", price=Decimal("1.00"), labels=["a", 'b "c"']))
        session.add(Product(id=2, name="untouched", price=Decimal("3.00")))
        session.commit()

    manager = VersioningManager(schema_name="audit")
    manager.init(base)
    Product.__versioned__ = {"exclude": ["views"]}
    configure_mappers()
    base.metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(
            text("SELECT audit.audit_table(CAST('product' AS regclass), ARRAY['views'])")
        )
    with Session(engine) as session:
        manager.values = {"actor_id": "ana"}
        first = session.get_one(Product, 1)
        first.price, first.about = Decimal("1.50"), {"z": 1, "a": [1, 2]}
        session.commit()
        manager.values = {"actor_id": "bo"}
        session.add(Product(id=3, name="new", price=Decimal("9.99")))
        session.flush()
        session.get_one(Product, 3).name = "newer"
        session.commit()
        session.execute(text("UPDATE product SET id = 30 WHERE id = 3"))
        session.execute(text("UPDATE product SET views = 5 WHERE id = 1"))
        session.commit()
        manager.values = {"actor_id": "ana"}
        session.delete(session.get_one(Product, 1))
        session.commit()
    engine.dispose()


if __name__ == "__main__":
    main(*sys.argv[1:])
