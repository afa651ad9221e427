"""Faults of the world, tried with real processes, and the list of them all."""
