"""What a start was asked for, checked and complete: the command line's words turned into one value.

`agent.main` makes it and `agent.compose` obeys it. Nothing here opens anything but what it is told to check.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from agent.config.findings import Report
    from agent.config.load import Loaded

ClockName = Literal["system", "exchange"]
CLOCKS: Final[tuple[ClockName, ...]] = ("system", "exchange")


class OptionRefused(ValueError):  # noqa: N818 - a refusal, not a failure
    """An option that makes no sense; the text names it, says why and what to write."""


@dataclass(frozen=True, slots=True)
class ExchangeAddress:
    """The addresses that replace every base URL of the exchange, `scheme://host:port` without a path.

    `ws` None: no socket is opened, everything comes by REST.
    """

    rest: str
    ws: str | None

    @property
    def is_loopback(self) -> bool:
        """Both lie on this machine."""
        return all(_is_loopback(url) for url in (self.rest, self.ws) if url is not None)


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One start of the engine.

    `config` is a `Report` when the configuration is refused although a stored position is open: then the last
    accepted one is used and no entries are made. `start` False: come up STOPPED. `confirmed_live`: `--live`
    was given. `exchange` None: the exchange's own addresses.
    """

    config: Loaded | Report
    config_path: Path
    env_path: Path
    data_dir: Path
    start: bool
    confirmed_live: bool
    exchange: ExchangeAddress | None
    clock: ClockName
    log_json: bool
    ask_secret: Callable[[str], str | None] | None = None
    """Asks a person for one credential by name; None when there is nobody to ask."""


def exchange_address(rest: str | None, ws: str | None) -> ExchangeAddress | None:
    """The pair of `--exchange-url` and `--exchange-ws-url`. Raises OptionRefused."""
    if rest is None:
        if ws is not None:
            raise OptionRefused(
                "--exchange-ws-url is given without --exchange-url; give both, or orders and candles would "
                "come from different exchanges"
            )
        return None
    return ExchangeAddress(
        _base(rest, "--exchange-url", ("http", "https")),
        None if ws is None else _base(ws, "--exchange-ws-url", ("ws", "wss")),
    )


def _base(url: str, option: str, schemes: tuple[str, str]) -> str:
    expected = f"write it like {schemes[0]}://127.0.0.1:8090"
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        raise OptionRefused(f"{option} {url!r} is not a URL; {expected}") from None
    if parts.username or parts.password:
        raise OptionRefused(f"{option} holds a user name or password; {expected}")
    if parts.scheme not in schemes or not parts.hostname:
        raise OptionRefused(f"{option} {url!r} does not begin with {schemes[0]}:// and a host; {expected}")
    if port is None or port == 0:
        raise OptionRefused(f"{option} {url!r} names no port; {expected}")
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise OptionRefused(f"{option} {url!r} has something behind the port; {expected}")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port}"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
