"""hepgen: fast simulation of particle-physics events with generative surrogates."""

__version__ = "0.1.0"
