"""What a start may trade with: nothing (paper), an account, or not yet an account.

Stays true: no gate ends the management of what is open. Without a key nothing can be managed, but then the
engine is up, says so, and takes the key as soon as there is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.compose.account_keys import account_keys
from agent.compose.accounts import fingerprint
from agent.compose.market import markets_of
from agent.compose.mode_gate import why_not_traded
from agent.compose.order_desk import Account
from agent.compose.whose import open_scopes
from agent.config.credentials import ExchangeKeys
from agent.config.model import Config
from agent.exchange.signed.arming import LiveArming
from agent.options import RunOptions
from agent.shell.redaction import Secrets
from agent.store.data_dir import DataDir


@dataclass(frozen=True, slots=True)
class Access:
    """`account` None outside paper: there is no key; `why` says so, `look` whether there may be one now.

    With an account `look` says whether another key than its own is there now.
    """

    account: Account | None
    why: str
    look: Callable[[], bool]


def _never() -> bool:
    return False


PAPER: Final = Access(None, "", _never)


def access_for(
    config: Config,
    options: RunOptions,
    directory: DataDir,
    secrets: Secrets,
    arming: LiveArming | None = None,
) -> Access | str:
    """What `config` may trade with here, or why it must not start. Raises StoreTrouble."""
    if config.mode == "paper":
        return PAPER
    orders = markets_of(config, options.exchange).orders
    place = (orders.venue, config.mode, config.exchange.trading_pair)
    is_open = any((s.venue, s.mode, s.pair) == place for s in open_scopes(directory.trades_db))

    def keys_now() -> bool:
        return not isinstance(account_keys(config, options.env_path, secrets, say=False), str)

    def another_key_now(known: ExchangeKeys) -> Callable[[], bool]:
        def look() -> bool:
            found = account_keys(config, options.env_path, secrets, say=False)
            return not isinstance(found, str) and fingerprint(found) != fingerprint(known)

        return look

    refused = why_not_traded(config, arming)
    if refused is None:
        keys = account_keys(config, options.env_path, secrets, options.ask_secret)
        if not isinstance(keys, str):
            return Access(Account(orders, keys, arming), "", another_key_now(keys))
        refused = keys
    return Access(None, refused, keys_now) if is_open else refused
