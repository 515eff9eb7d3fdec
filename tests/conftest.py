"""Shared by all tests; ``pythonpath`` in pyproject.toml lets tests import what they share, such as ``toys``."""
