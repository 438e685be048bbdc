"""Whether real money may be traded: gates with their numbers, one decision, one record."""
