"""A trained thing and its bundle: what ``train`` leaves and ``sample`` takes."""

from hepgen.surrogate.surrogate import Surrogate

__all__ = ["Surrogate"]
