"""Days of bad luck in virtual time: the real engine, store and order path against the local venue."""
