"""Polygon.io: candles from many exchanges, for history, as signals, or as a second opinion. Never orders."""
