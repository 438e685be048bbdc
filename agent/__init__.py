"""The trading agent. `__version__` is what the program calls itself everywhere; `pyproject.toml` agrees."""

__version__ = "0.1.0"
