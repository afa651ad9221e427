"""How much of what `core/` does its tests would miss: `make mutate`."""
