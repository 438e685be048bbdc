"""Binance's fields and their JSON types, as its documentation and recordings have them.

Facts only, written down by hand: for every answer and event that the local exchange gives, the names that
belong to it. In a table, `:w` is a whole number, `:a` an amount written as text, `:t` text, `:f` a flag; `?`
marks what is sent only sometimes. Names stand for objects, `[]` for lists of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Path -> kind and whether it may be missing.
Fields = Mapping[str, tuple[str, bool]]
_KINDS: Final = {"w": "whole", "a": "amount", "t": "text", "f": "flag", "n": "null", "e": "empty"}


def fields(text: str, under: str = "") -> dict[str, tuple[str, bool]]:
    """`symbol:t orderId:w stopPrice:a?` -> paths below `under`."""
    found = {}
    for word in text.split():
        name, _, kind = word.partition(":")
        found[f"{under}{name}"] = (_KINDS[kind[0]], kind.endswith("?"))
    return found


def below(under: str, of: Fields) -> dict[str, tuple[str, bool]]:
    return {f"{under}{path}": kind for path, kind in of.items()}


_ACK = fields("symbol:t orderId:w orderListId:w clientOrderId:t transactTime:w")
_AMOUNTS = fields(
    "price:a origQty:a executedQty:a origQuoteOrderQty:a cummulativeQuoteQty:a status:t timeInForce:t type:t"
    " side:t stopPrice:a? icebergQty:a? strategyId:w? strategyType:w? selfTradePreventionMode:t"
)
_RESULT = {**_ACK, **_AMOUNTS, **fields("workingTime:w expiryReason:t?")}
_FULL = {
    **_RESULT,
    **fields("fills[]:e?"),
    **fields("price:a? qty:a? commission:a? commissionAsset:t? tradeId:w?", "fills[]."),
}
_CANCELED = {**_ACK, **_AMOUNTS, **fields("origClientOrderId:t")}
_ROW = fields(
    "symbol:t orderId:w orderListId:w clientOrderId:t price:a origQty:a executedQty:a cummulativeQuoteQty:a"
    " status:t timeInForce:t type:t side:t stopPrice:a icebergQty:a time:w updateTime:w isWorking:f"
    " workingTime:w origQuoteOrderQty:a selfTradePreventionMode:t strategyId:w? strategyType:w?"
    " expiryReason:t?"
)
_LIST = {
    **fields(
        "orderListId:w contingencyType:t listStatusType:t listOrderStatus:t listClientOrderId:t"
        " transactionTime:w symbol:t"
    ),
    **fields("symbol:t orderId:w clientOrderId:t", "orders[]."),
}
_LIST_PLACED = {**_LIST, **below("orderReports[].", _RESULT)}
_LIST_CANCELED = {**_LIST, **below("orderReports[].", _CANCELED)}
_TRADE = fields(
    "symbol:t id:w orderId:w orderListId:w price:a qty:a quoteQty:a commission:a commissionAsset:t time:w"
    " isBuyer:f isMaker:f isBestMatch:f"
)
_REFUSAL = fields("code:w msg:t")
_LIMIT = fields("rateLimitType:t interval:t intervalNum:w limit:w")
_COUNTED = {**_LIMIT, **fields("count:w")}
_ENVELOPE = {**fields("id:t status:w"), **below("rateLimits[].", _COUNTED)}
_RATES = fields("maker:a taker:a buyer:a seller:a")
_DAY = fields(
    "symbol:t openPrice:a highPrice:a lowPrice:a lastPrice:a volume:a quoteVolume:a openTime:w closeTime:w"
    " firstId:w lastId:w count:w"
)
_REPORT = fields(
    "e:t E:w s:t c:t S:t o:t f:t q:a p:a P:a F:a g:w C:t x:t X:t r:t i:w l:a z:a L:a n:a N:t? T:w t:w I:w"
    " w:f m:f M:f O:w Z:a Y:a Q:a W:w? V:t"
)
_FILTERS = fields(
    "filterType:t minPrice:a? maxPrice:a? tickSize:a? minQty:a? maxQty:a? stepSize:a? limit:w?"
    " minTrailingAboveDelta:w? maxTrailingAboveDelta:w? minTrailingBelowDelta:w? maxTrailingBelowDelta:w?"
    " bidMultiplierUp:t? bidMultiplierDown:t? askMultiplierUp:t? askMultiplierDown:t? avgPriceMins:w?"
    " minNotional:a? applyMinToMarket:f? maxNotional:a? applyMaxToMarket:f? maxNumOrders:w?"
    " maxNumOrderLists:w? maxNumAlgoOrders:w? maxPosition:a?"
)
_AGGREGATE = fields("a:w p:a q:a f:w l:w T:w m:f M:f")

FIELDS: Final[Mapping[str, Fields]] = {
    # -- market data by request
    "time": fields("serverTime:w"),
    "exchangeInfo": {
        **fields("timezone:t serverTime:w exchangeFilters[]:e"),
        **below("rateLimits[].", _LIMIT),
        **fields(
            "symbol:t status:t baseAsset:t baseAssetPrecision:w quoteAsset:t quotePrecision:w"
            " quoteAssetPrecision:w baseCommissionPrecision:w quoteCommissionPrecision:w orderTypes[]:t"
            " icebergAllowed:f ocoAllowed:f otoAllowed:f opoAllowed:f quoteOrderQtyMarketAllowed:f"
            " allowTrailingStop:f cancelReplaceAllowed:f amendAllowed:f pegInstructionsAllowed:f"
            " isSpotTradingAllowed:f isMarginTradingAllowed:f permissions[]:e permissionSets[][]:t"
            " defaultSelfTradePreventionMode:t allowedSelfTradePreventionModes[]:t",
            "symbols[].",
        ),
        **below("symbols[].filters[].", _FILTERS),
    },
    "klines": fields("[0]:w [1]:a [2]:a [3]:a [4]:a [5]:a [6]:w [7]:a [8]:w [9]:a [10]:a [11]:t", "[]"),
    "depth": fields("lastUpdateId:w bids[][]:a asks[][]:a"),
    "ticker/24hr": {
        **_DAY,
        **fields(
            "priceChange:a priceChangePercent:a weightedAvgPrice:a prevClosePrice:a lastQty:a bidPrice:a"
            " bidQty:a askPrice:a askQty:a"
        ),
    },
    "ticker/24hr MINI": _DAY,
    "ticker/price": fields("symbol:t price:a"),
    "ticker/bookTicker": fields("symbol:t bidPrice:a bidQty:a askPrice:a askQty:a"),
    "trades": fields("id:w price:a qty:a quoteQty:a time:w isBuyerMaker:f isBestMatch:f", "[]."),
    "aggTrades": below("[].", _AGGREGATE),
    "avgPrice": fields("mins:w price:a closeTime:w"),
    # -- orders
    "order ACK": _ACK,
    "order RESULT": _RESULT,
    "order FULL": _FULL,
    "order iceberg": _FULL,
    "order stop": _RESULT,
    "order expired": _FULL,
    "order test": fields(":e"),
    "query filled": _ROW,
    "openOrders": below("[].", _ROW),
    "allOrders": below("[].", _ROW),
    "cancel": _CANCELED,
    "cancel stop": _CANCELED,
    "refusal": _REFUSAL,
    # -- lists
    "oco": _LIST_PLACED,
    "oto": _LIST_PLACED,
    "otoco": _LIST_PLACED,
    "query list": _LIST,
    "openOrderList": below("[].", _LIST),
    "allOrderList": below("[].", _LIST),
    "cancel leg": _LIST_CANCELED,
    "cancel list": _LIST_CANCELED,
    # -- one for another
    "cancelReplace": {
        **fields("cancelResult:t newOrderResult:t"),
        **below("cancelResponse.", _CANCELED),
        **below("newOrderResponse.", _FULL),
    },
    "cancelReplace -2021": {
        **_REFUSAL,
        **fields("data.cancelResult:t data.newOrderResult:t"),
        **below("data.cancelResponse.", _CANCELED),
        **below("data.newOrderResponse.", _REFUSAL),
    },
    "cancelReplace -2022": {
        **_REFUSAL,
        **fields("data.cancelResult:t data.newOrderResult:t data.newOrderResponse:n"),
        **below("data.cancelResponse.", _REFUSAL),
    },
    # -- the account
    "account": {
        **fields(
            "makerCommission:w takerCommission:w buyerCommission:w sellerCommission:w canTrade:f"
            " canWithdraw:f canDeposit:f brokered:f requireSelfTradePrevention:f preventSor:f"
            " updateTime:w accountType:t permissions[]:t uid:w"
        ),
        **below("commissionRates.", _RATES),
        **fields("asset:t free:a locked:a", "balances[]."),
    },
    "account/commission": {
        **fields("symbol:t"),
        **below("standardCommission.", _RATES),
        **below("specialCommission.", _RATES),
        **below("taxCommission.", _RATES),
        **fields("enabledForAccount:f enabledForSymbol:f discountAsset:t discount:a", "discount."),
    },
    "rateLimit/order": below("[].", _COUNTED),
    "myTrades": below("[].", _TRADE),
    "apiRestrictions": fields(
        "ipRestrict:f createTime:w enableReading:f enableWithdrawals:f enableInternalTransfer:f"
        " enableMargin:f enableFutures:f permitsUniversalTransfer:f enableVanillaOptions:f"
        " enableFixApiTrade:f enableFixReadOnly:f enableSpotAndMarginTrading:f enablePortfolioMarginTrading:f"
        " tradingAuthorityExpirationTime:w?"
    ),
    "tradeFee": fields("symbol:t makerCommission:a takerCommission:a", "[]."),
    # -- the socket API and the user stream
    "subscribed": {**_ENVELOPE, **fields("result.subscriptionId:w")},
    "ws order.place": {**_ENVELOPE, **below("result.", _FULL)},
    "ws refusal": {**_ENVELOPE, **below("error.", _REFUSAL)},
    "executionReport NEW": _REPORT,
    "executionReport TRADE": _REPORT,
    "executionReport CANCELED": _REPORT,
    "executionReport EXPIRED": {**_REPORT, **fields("eR:t?")},
    "outboundAccountPosition": {**fields("e:t E:w u:w"), **fields("a:t f:a l:a", "B[].")},
    "balanceUpdate": fields("e:t E:w a:t d:a T:w"),
    "listStatus": {
        **fields("e:t E:w s:t g:w c:t l:t L:t r:t C:t T:w"),
        **fields("s:t i:w c:t", "O[]."),
    },
    # -- market streams
    "subscribe": fields("result:n id:w"),
    "kline": {
        **fields("e:t E:w s:t"),
        **fields("t:w T:w s:t i:t f:w L:w o:a c:a h:a l:a v:a n:w x:f q:a V:a Q:a B:t", "k."),
    },
    "trade": fields("e:t E:w s:t t:w p:a q:a T:w m:f M:f"),
    "aggTrade": {**fields("e:t E:w s:t"), **_AGGREGATE},
    "bookTicker": fields("u:w s:t b:a B:a a:a A:a"),
    "24hrMiniTicker": fields("e:t E:w s:t c:a o:a h:a l:a v:a q:a"),
    "24hrTicker": fields(
        "e:t E:w s:t p:a P:a w:a x:a c:a Q:a b:a B:a a:a A:a o:a h:a l:a v:a q:a O:w C:w F:w L:w n:w"
    ),
    "depthUpdate": fields("e:t E:w s:t U:w u:w b[][]:a a[][]:a"),
}
