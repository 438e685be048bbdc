"""The fire drill: named disasters, committed on purpose on this machine against the built-in exchange."""
