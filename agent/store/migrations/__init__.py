"""The steps from one schema to the next. Each file in `versions` is history: it is never changed."""
