"""The schema's revision, where it can be read without loading the database library."""

from __future__ import annotations

from typing import Final

#: The newest migration. Numbers only grow, so that a newer database is recognised.
SCHEMA_REVISION: Final = "0002"
