"""Draws from a world's chance that happen so often that the checks of `random` cost more than the draw.

Stays true: each draws as `random.Random` itself does, the same numbers from the same bits.
"""

from __future__ import annotations

from random import Random


def below(chance: Random, number: int) -> int:
    """One of the `number` whole numbers from 0 on, as `chance.randrange(number)`."""
    bits = number.bit_length()
    drawn = chance.getrandbits(bits)
    while drawn >= number:
        drawn = chance.getrandbits(bits)
    return drawn
