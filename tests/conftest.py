"""Shared by all tests; ``pythonpath`` in pyproject.toml lets tests import what they share, such as ``toys``."""

from hypothesis import settings

# The same examples every time, as the seeds of all other tests: a test that fails does so on every machine. A time limit of
# single examples would fail on busy ones; pytest's own stops what hangs.
settings.register_profile("deterministic", derandomize=True, deadline=None)
settings.load_profile("deterministic")
