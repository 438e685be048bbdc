"""Both sides of the books in a data directory: what the agent wrote and what the paper exchange executed."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Books:
    """Rows as stored, amounts as text turned into Decimal. Open orders of the exchange are in `account`."""

    intents: dict[str, dict[str, Any]]
    orders: dict[str, dict[str, Any]]
    fills: set[tuple[Any, ...]]
    fill_rows: int
    their_orders: dict[str, dict[str, Any]]
    their_fills: set[tuple[Any, ...]]
    account: dict[str, Any]
    trades: list[dict[str, Any]]

    @classmethod
    def read(cls, data_dir: Path) -> Books:
        with closing(sqlite3.connect(f"file:{data_dir / 'trades.db'}?mode=ro", uri=True)) as database:
            database.row_factory = sqlite3.Row

            def rows(table: str) -> list[dict[str, Any]]:
                return [dict(row) for row in database.execute(f"SELECT * FROM {table} ORDER BY id")]

            fills = rows("fills")
            accounts = rows("paper_accounts")
            return cls(
                {row["client_id"]: row for row in rows("intents")},
                {row["client_id"]: row for row in rows("orders")},
                {_fill(row) for row in fills},
                len(fills),
                {row["client_id"]: row for row in rows("paper_orders")},
                {_fill(row) for row in rows("paper_fills")},
                json.loads(accounts[-1]["body"]) if accounts and accounts[-1]["body"] else {},
                rows("trades"),
            )

    def theirs(self) -> set[str]:
        """Client ids of every order that reached the exchange."""
        return set(self.their_orders) | {
            order["ticket"]["client_id"] for order in self.account["open_orders"]
        }

    def total(self, currency: str) -> Decimal:
        """What the exchange says the account holds, free and locked."""
        holding = self.account["balances"][currency]
        return Decimal(holding["free"]) + Decimal(holding["locked"])

    def explained(self, initial: Decimal) -> tuple[Decimal, Decimal]:
        """Quote and base currency that our own fills make of `initial` quote currency."""
        quote, base = initial, Decimal(0)
        for _, _, side, price, qty, fee, currency, _ in self.fills:
            sign = 1 if side == "BUY" else -1
            base += sign * Decimal(qty)
            quote -= sign * Decimal(price) * Decimal(qty)
            if currency == "USDT":
                quote -= Decimal(fee)
            else:
                base -= Decimal(fee)
        return quote, base


def _fill(row: dict[str, Any]) -> tuple[Any, ...]:
    names = ("client_id", "trade_id", "side", "price", "qty", "fee", "fee_currency", "at_ms")
    return tuple(row[name] for name in names)
