"""Shared by all tests; its place puts ``tests/`` on the path, so that tests can import ``toys``."""
