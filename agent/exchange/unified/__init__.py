"""Exchanges through ccxt: market sockets and accounts. What Binance has of its own is beside this folder."""
