"""A second front-end of the same venue: Kraken spot's REST and WebSocket v2, for unmodified clients of it."""
