"""exchangeInfo as Binance writes it: limits, symbols, filters.

Belongs here: the rules of every symbol in the exchange's words. Stays true: what is stated here is what the
exchange enforces.
"""

from __future__ import annotations

from agent.core.money import plain
from agent.localexchange.limits import WEIGHT_PER_MINUTE
from agent.localexchange.order_limits import ORDER_LIMITS
from agent.localexchange.pairs import eight
from agent.localexchange.venue.listing import Listing
from agent.localexchange.wire import Json


def exchange_info(listings: list[Listing], now_ms: int) -> Json:
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_PER_MINUTE),
            *(_rate_limit("ORDERS", limit.interval, limit.count, limit.most) for limit in ORDER_LIMITS),
            _rate_limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
        ],
        "exchangeFilters": [],
        "symbols": [_symbol_info(listing) for listing in listings],
    }


def _rate_limit(kind: str, interval: str, count: int, limit: int) -> Json:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


def _symbol_info(listing: Listing) -> Json:
    return {
        "symbol": listing.symbol,
        "status": listing.status,
        "baseAsset": listing.base,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": list(listing.kinds),
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "opoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": True,
        "amendAllowed": False,
        "pegInstructionsAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(listing),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": list(listing.preventions),
    }


def _filters(listing: Listing) -> list[Json]:
    filters: list[Json] = [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": eight(listing.min_price),
            "maxPrice": eight(listing.max_price),
            "tickSize": eight(listing.tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": eight(listing.min_qty),
            "maxQty": eight(listing.max_qty),
            "stepSize": eight(listing.step),
        },
        {"filterType": "ICEBERG_PARTS", "limit": listing.iceberg_parts},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": eight(listing.market_min_qty),
            "maxQty": eight(listing.market_max_qty),
            "stepSize": eight(listing.market_step),
        },
        {
            "filterType": "TRAILING_DELTA",
            "minTrailingAboveDelta": 10,
            "maxTrailingAboveDelta": 2_000,
            "minTrailingBelowDelta": 10,
            "maxTrailingBelowDelta": 2_000,
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": plain(listing.bid_up),
            "bidMultiplierDown": plain(listing.bid_down),
            "askMultiplierUp": plain(listing.ask_up),
            "askMultiplierDown": plain(listing.ask_down),
            "avgPriceMins": 5,
        },
        _notional(listing),
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": listing.max_orders},
        {"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": listing.max_lists},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": listing.max_algo_orders},
    ]
    if listing.max_position:
        filters.append({"filterType": "MAX_POSITION", "maxPosition": eight(listing.max_position)})
    return filters


def _notional(listing: Listing) -> Json:
    if listing.notional_filter == "MIN_NOTIONAL":
        return {
            "filterType": "MIN_NOTIONAL",
            "minNotional": eight(listing.min_notional),
            "applyToMarket": listing.min_to_market,
            "avgPriceMins": 5,
        }
    return {
        "filterType": "NOTIONAL",
        "minNotional": eight(listing.min_notional),
        "applyMinToMarket": listing.min_to_market,
        "maxNotional": eight(listing.max_notional),
        "applyMaxToMarket": listing.max_to_market,
        "avgPriceMins": 5,
    }
