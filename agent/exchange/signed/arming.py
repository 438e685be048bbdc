"""The wall between rehearsal and real money: who may hold an address where orders cost something.

Stays true: an order-capable client for the exchange's production hosts needs a `LiveArming`, whatever name
its address goes by; a sandbox client reaches the sandbox's hosts and no other. A `LiveArming` is made of an
`Armed` alone, which answers for every gate, so live trading is refused by construction and not by a condition
somewhere.
"""

from __future__ import annotations

from typing import Final, final

from agent.arming.decision import Armed
from agent.exchange.addresses import BINANCE, Addresses, hosts_in

#: Every host of these domains may trade for real money.
_PRODUCTION_DOMAINS: Final = (
    *("binance.com", "binance.us", "kraken.com", "bybit.com", "bytick.com", "okx.com", "coinbase.com"),
)


class LiveRefusedError(Exception):
    """Orders for real money are not allowed here."""


@final
class LiveArming:
    """Proof that every gate to live trading was passed for one configuration, or that something is open."""

    __slots__ = ("config_hash", "notice")

    config_hash: str
    notice: str
    """What the ledger keeps of it, in a sentence."""

    def __init__(self, armed: Armed) -> None:
        if type(armed) is not Armed:
            raise LiveRefusedError("live trading is refused: its gates were not asked")
        self.config_hash = armed.config_hash
        self.notice = armed.notice


def trading_hosts(addresses: Addresses, arming: LiveArming | None) -> frozenset[str]:
    """The hosts an order-capable client may talk to.

    Raises LiveRefusedError where they would trade real money without arming, or are not what the environment
    says; ValueError where the exchange is another.
    """
    if addresses.exchange != BINANCE or addresses.rest is None:
        raise ValueError(f"signed orders on {addresses.exchange} are not supported: binance is")
    hosts = hosts_in({"rest": addresses.rest, "ws_api": addresses.ws_api})
    if addresses.environment == "sandbox":
        sandbox = Addresses.sandbox(BINANCE)
        strange = hosts - hosts_in({"rest": sandbox.rest, "ws_api": sandbox.ws_api})
        if strange:
            raise LiveRefusedError(f"{', '.join(sorted(strange))} is not the sandbox")
        return hosts
    real = sorted(host for host in hosts if _is_production(host))
    if (real or addresses.environment == "production") and not _is_armed(arming):
        raise LiveRefusedError(
            f"orders to {', '.join(real) or 'the exchange'} are refused: live trading is not armed"
        )
    return hosts


def order_hosts(addresses: Addresses, hosts: frozenset[str], arming: LiveArming | None) -> frozenset[str]:
    """The same for an exchange whose hosts ccxt names: `hosts` are those of every address it has left.

    Raises LiveRefusedError.
    """
    if addresses.environment == "sandbox":
        return hosts
    real = sorted(host for host in hosts if _is_production(host))
    if (real or addresses.environment == "production") and not _is_armed(arming):
        raise LiveRefusedError(
            f"orders to {', '.join(real) or 'the exchange'} are refused: live trading is not armed"
        )
    return hosts


def _is_production(host: str) -> bool:
    name = host.partition(":")[0].rstrip(".").lower()
    return any(name == domain or name.endswith(f".{domain}") for domain in _PRODUCTION_DOMAINS)


def _is_armed(arming: LiveArming | None) -> bool:
    # An object that went around the constructor has no hash.
    return isinstance(arming, LiveArming) and bool(getattr(arming, "config_hash", ""))
