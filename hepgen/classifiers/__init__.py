"""Classifiers that tell samples apart: seeded networks on rows and on sets, boosted trees, and their calibration."""
