"""The trading side of the local exchange: signed REST, the socket API, the user stream, the account.

Read `endpoints` for what is offered and `desk` for how a command reaches the venue.
"""
