"""Orders on a real Binance spot account (or its sandbox): signed requests and the user's own event stream."""
