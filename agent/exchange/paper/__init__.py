"""The built-in paper broker: a pure account that matches orders against real books, and its I/O."""
