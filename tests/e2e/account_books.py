"""The exchange's own books beside the agent's: every difference, in words."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from agent_process import Market
from ledgers import Books


@dataclass(frozen=True, slots=True)
class Theirs:
    """`/control/ledger`, amounts as Decimal."""

    balances: dict[str, Decimal]
    orders: dict[str, dict[str, Any]]
    fills: set[tuple[Any, ...]]
    fill_count: int
    requests: list[dict[str, Any]]

    @classmethod
    async def read(cls, market: Market) -> Self:
        ledger = await market.control("ledger")
        fills = [_fill(row) for row in ledger["fills"]]
        return cls(
            {a: Decimal(b["free"]) + Decimal(b["locked"]) for a, b in ledger["balances"].items()},
            {row["client_id"]: row for row in ledger["orders"]},
            set(fills),
            len(fills),
            ledger["requests"],
        )

    def total(self, asset: str) -> Decimal:
        return self.balances.get(asset, Decimal(0))

    def count(self, method: str, path: str) -> int:
        return sum((r["method"], r["path"]) == (method, path) for r in self.requests)


def compared(
    data_dir: Path, theirs: Theirs, initial: dict[str, Decimal] | None = None, tag_only: bool = True
) -> list[str]:
    """Every difference between the agent's books and the exchange's; empty when they are one."""
    books = Books.read(data_dir)
    initial = {"USDT": Decimal(10_000)} if initial is None else initial
    tag = (data_dir / "install-tag").read_text().strip()
    found = []
    ours = {_normal(fill) for fill in books.fills}
    others = {fill for fill in theirs.fills if not tag_only or fill[0].startswith(tag)}
    found += [f"fill only ours: {fill}" for fill in ours - others]
    found += [f"fill only theirs: {fill}" for fill in others - ours]
    if books.fill_rows != len(ours):
        found.append(f"{books.fill_rows} rows for {len(ours)} fills")
    tagged = {k for k in theirs.orders if not tag_only or k.startswith(tag)}
    found += [f"order unknown to the agent: {k}" for k in tagged - set(books.orders)]
    balances = dict(initial)
    for _, _, side, price, qty, fee, currency, _ in ours:
        sign = 1 if side == "BUY" else -1
        balances["ADA"] = balances.get("ADA", Decimal(0)) + sign * qty
        balances["USDT"] -= sign * price * qty
        balances[currency] = balances.get(currency, Decimal(0)) - fee
    for asset in balances.keys() | theirs.balances.keys():
        mine, said = balances.get(asset, Decimal(0)), theirs.total(asset)
        if mine != said:
            found.append(f"{asset}: {mine} by our fills, {said} at the exchange")
    return found


def _fill(row: dict[str, Any]) -> tuple[Any, ...]:
    return (
        row["client_id"],
        str(row["trade_id"]),
        row["side"],
        Decimal(row["price"]),
        Decimal(row["quantity"]),
        Decimal(row["fee"]),
        row["fee_currency"],
        row["ts"],
    )


def _normal(fill: tuple[Any, ...]) -> tuple[Any, ...]:
    client_id, trade_id, side, price, qty, fee, currency, at_ms = fill
    return (client_id, str(trade_id), side, Decimal(price), Decimal(qty), Decimal(fee), currency, at_ms)
