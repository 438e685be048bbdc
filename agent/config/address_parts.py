"""What stands in an address of a database beside its host: a user, perhaps a password, parameters."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

#: Parameters that hold a secret as much as a password does.
_SECRET = frozenset({"password", "sslpassword", "passfile"})
#: Where everything stays on one machine, nobody can listen.
_HERE = ("127.", "localhost", "[::1]", "::1", "/")


def has_password(url: str) -> bool:
    return without_password(url) != url


def without_password(url: str) -> str:
    """The same address, unchanged where there is no password in it."""
    scheme, separator, rest = url.partition("://")
    login, at_sign, place = _split_login(rest)
    user, colon, _ = login.partition(":")
    kept = f"{scheme}{separator}{user}{at_sign}{place}" if at_sign and colon else url
    head, question, query = kept.partition("?")
    if not question:
        return kept
    pairs = parse_qsl(query, keep_blank_values=True)
    public = [(name, value) for name, value in pairs if name.lower() not in _SECRET]
    if len(public) == len(pairs):
        return kept
    return f"{head}?{urlencode(public)}" if public else head


def is_readable_on_the_way(url: str) -> bool:
    """Whether the address names another machine and no encryption is asked for."""
    parts = urlsplit(urlunsplit(("postgresql", *urlsplit("x://" + url.partition("://")[2])[1:])))
    query = dict(parse_qsl(parts.query))
    host = query.get("host") or parts.hostname or "localhost"
    return not host.startswith(_HERE) and query.get("sslmode", "prefer") in ("disable", "allow", "prefer")


def _split_login(rest: str) -> tuple[str, str, str]:
    """The login ends at the last @ before the path: a password may hold one that nobody encoded."""
    authority, slash, path = rest.partition("/")
    login, at_sign, host = authority.rpartition("@")
    return login, at_sign, host + slash + path
