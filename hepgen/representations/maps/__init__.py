"""Invertible maps that are fitted to data: numbers in, numbers out, states as JSON."""
