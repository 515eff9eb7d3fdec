"""Classifiers that tell two samples apart: a seeded network, boosted trees, and their calibration."""
