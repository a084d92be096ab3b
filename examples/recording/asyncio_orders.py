"""Places orders from asyncio, each with its event, in one transaction.

    python asyncio_orders.py sqlite+aiosqlite:///events.db 3
    python asyncio_orders.py postgresql+psycopg://user:password@host/shop 3

Needs tidings[async] (and tidings[postgresql]), and the tables that `tidings init` creates.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tidings import record


class Base(DeclarativeBase):
    """The application's tables."""


class Order(Base):
    """One order."""

    __tablename__ = "customer_order"
    order_id: Mapped[int] = mapped_column(primary_key=True)
    total: Mapped[int]


@dataclass(frozen=True)
class OrderPlaced:
    """What happened: the class's name is the event's type."""

    aggregate_id: str
    total: int


async def place(session: AsyncSession, total: int) -> None:
    """Place an order and record it; a total that is no price takes both back."""
    async with session.begin():
        order = Order(total=total)
        session.add(order)
        await session.flush()
        record(session, OrderPlaced(str(order.order_id), total))
        if total <= 0:
            raise ValueError(f"{total} is no price")


async def main(url: str, count: int) -> None:
    """Place ``count`` orders, and one that fails."""
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine)
    for number in range(1, count + 1):
        async with sessions() as session:
            await place(session, total=number * 100)
    try:
        async with sessions() as session:
            await place(session, total=0)
    except ValueError as error:
        print(f"not placed: {error}")
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
