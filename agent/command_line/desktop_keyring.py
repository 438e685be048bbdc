"""The desktop's keyring, as far as credentials are put there: one entry for each name.

Imported only when somebody uses it. Stays true: no sentence made here holds a value.
"""

from __future__ import annotations

from typing import Final

from agent.config.credentials import KEYRING_SERVICE
from agent.config.secret import Secret

WITHOUT: Final = (
    "on a server use a systemd credential (LoadCredentialEncrypted=) or a .env of mode 0600; "
    "on a desktop install and unlock one (gnome-keyring or KWallet)"
)


class NoKeyring(Exception):  # noqa: N818 - an answer
    """There is none, it is locked, or it refuses; the text says which."""


def why_none() -> str | None:
    """Why nothing can be stored here; None when a keyring is there."""
    import keyring
    from keyring.backends import chainer, fail, null

    found = keyring.get_keyring()
    if isinstance(found, fail.Keyring | null.Keyring):
        return "no keyring is available here"
    if isinstance(found, chainer.ChainerBackend) and not found.backends:
        return "no keyring is available here"
    return None


def put(name: str, value: Secret) -> None:
    """Store it and read it back. Raises NoKeyring."""
    import keyring
    from keyring.errors import KeyringError

    _require()
    try:
        keyring.set_password(KEYRING_SERVICE, name, value.reveal())
        kept = keyring.get_password(KEYRING_SERVICE, name)
    except KeyringError as error:
        raise NoKeyring(f"the keyring refuses ({type(error).__name__}): unlock it") from None
    if kept != value.reveal():
        raise NoKeyring("the keyring did not keep the value")


def has(name: str) -> bool:
    import keyring
    from keyring.errors import KeyringError

    try:
        return keyring.get_password(KEYRING_SERVICE, name) is not None
    except KeyringError:
        return False


def take_out(name: str) -> bool:
    """False when it was not there. Raises NoKeyring."""
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError

    _require()
    if not has(name):
        return False
    try:
        keyring.delete_password(KEYRING_SERVICE, name)
    except PasswordDeleteError:
        return False
    except KeyringError as error:
        raise NoKeyring(f"the keyring refuses ({type(error).__name__}): unlock it") from None
    return True


def _require() -> None:
    reason = why_none()
    if reason is not None:
        raise NoKeyring(reason)
