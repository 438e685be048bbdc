"""What the matching engine answers when it will not do something.

Belongs here: every refusal of the engine with Binance's code and text. Stays true: a refused command changed
nothing.
"""

from __future__ import annotations


class RefusedError(Exception):
    """A command that was not executed. `code` and `text` are Binance's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


def _rejected(text: str) -> RefusedError:
    return RefusedError(-2010, text)


def filter_failure(name: str) -> RefusedError:
    return RefusedError(-1013, f"Filter failure: {name}")


def invalid(what: str) -> RefusedError:
    return RefusedError(-1013, f"Invalid {what}.")


def insufficient_balance() -> RefusedError:
    return _rejected("Account has insufficient balance for requested action.")


def duplicate_order() -> RefusedError:
    return _rejected("Duplicate order sent.")


def would_trigger() -> RefusedError:
    return _rejected("Order would trigger immediately.")


def would_match() -> RefusedError:
    return _rejected("Order would immediately match and take.")


def bad_price_relation() -> RefusedError:
    return _rejected("The relationship of the prices for the orders is not correct.")


def market_closed() -> RefusedError:
    return _rejected("Market is closed.")


def no_liquidity() -> RefusedError:
    return _rejected("Order book liquidity is less than symbol minimum quantity.")


def prevention_not_allowed() -> RefusedError:
    return RefusedError(-1013, "This symbol does not allow the specified self-trade prevention mode.")


def unknown_order() -> RefusedError:
    return RefusedError(-2011, "Unknown order sent.")


def cancel_in_closed_market() -> RefusedError:
    return RefusedError(-2011, "Market is closed.")


def cancel_restricted() -> RefusedError:
    return RefusedError(-2011, "Order was not canceled due to cancel restrictions.")


def no_such_order() -> RefusedError:
    return RefusedError(-2013, "Order does not exist.")


def no_such_list() -> RefusedError:
    return RefusedError(-2018, "Order list does not exist.")


def wrong_client_id() -> RefusedError:
    return RefusedError(-2039, "Client order ID is not correct for this order ID.")
