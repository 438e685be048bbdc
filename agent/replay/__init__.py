"""Recorded candles through the agent's own decision code: to verify a config and to rehearse it."""
