"""Who reads, before anything is armed, what a key may do and what its account holds."""

from __future__ import annotations

from agent.config.credentials import ExchangeKeys
from agent.core.ports import Clock
from agent.exchange.addresses import Addresses
from agent.exchange.signed.rights_reader import RightsReader
from agent.exchange.unified.kraken_reader import KrakenReader


def reader_for(addresses: Addresses, keys: ExchangeKeys, clock: Clock) -> RightsReader | KrakenReader:
    """Raises ValueError for a key that cannot sign, or an exchange where this cannot be read."""
    if addresses.exchange == "kraken":
        return KrakenReader(addresses, keys, clock)
    return RightsReader(addresses, keys, clock)
