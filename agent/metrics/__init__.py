"""Figures of the running engine for Prometheus, on loopback: what they are, and the door they leave by."""
