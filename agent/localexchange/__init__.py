"""An exchange on loopback that speaks Binance spot's protocol: test bench, demo, fault injector."""
