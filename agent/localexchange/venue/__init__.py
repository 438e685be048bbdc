"""Accounts, orders and matching of the exchange: pure, no sockets, no clock, no chance.

Read `venue` for what can be asked of it, `events` for what it tells, `words` for Binance's vocabulary.
"""
