"""The run folder: from a recipe to a surrogate, started or taken up again."""

from hepgen.runs.train import train_run

__all__ = ["train_run"]
