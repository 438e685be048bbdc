"""Chance without state: numbers that depend on their place alone.

Belongs here: hashing of integers to uniform numbers. Stays true: the same seed and place give the same
number, in whatever order and however often it is asked; so the market does not depend on its speed or on
who looked at it. The mixing function is SplitMix64 (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

import zlib

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def salt(seed: int, *names: str) -> int:
    """A 63-bit key for one stream of numbers."""
    key = zlib.crc32("/".join(names).encode())
    mixed = bits(key << 20 ^ key, np.array([seed & 0x7FFF_FFFF_FFFF_FFFF], dtype=np.int64))
    return int(mixed[0] >> np.uint64(1))


def bits(key: int, places: Ints) -> npt.NDArray[np.uint64]:
    """Sixty-four random bits for every place."""
    with np.errstate(over="ignore"):
        z = places.astype(np.uint64)
        z *= np.uint64(0xD1342543DE82EF95)
        z += np.uint64(key)
        z ^= z >> np.uint64(30)
        z *= np.uint64(0xBF58476D1CE4E5B9)
        z ^= z >> np.uint64(27)
        z *= np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
    return z


def uniform(key: int, places: Ints) -> Floats:
    """A number in [0, 1) for every place."""
    return (bits(key, places) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def uniform_at(key: int, place: int) -> float:
    return float(uniform(key, np.array([place], dtype=np.int64))[0])


def smooth(key: int, at: Floats) -> Floats:
    """Value noise in [-1, 1]: random at integers, cosine between them."""
    left = np.floor(at).astype(np.int64)
    share = (1.0 - np.cos(np.pi * (at - left))) / 2.0
    a, b = uniform(key, left), uniform(key, left + 1)
    return 2.0 * (a + (b - a) * share) - 1.0
