"""The run folder: what may be begun, what goes on, and what must not be mixed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hepgen.config.load import AnyRecipe, dump_recipe
from hepgen.config.yaml import parse_yaml
from hepgen.errors import ConfigError, InputFileError, ModelError, UsageError
from hepgen.surrogate.surrogate import DRAFT
from hepgen.training.cache import EncodedCache
from hepgen.training.files import output_errors, write_atomic

# A resumed run may find its files elsewhere and may save more often; everything else would make another training.
_FREE = {
    ("data", "files"),
    ("source", "files"),
    ("target", "files"),
    ("representation", "binning"),
    ("training", "checkpoint_every"),
    ("name",),
}


class RunFolder:
    """``RUN/{config.yaml, provenance.json, plan.json, metrics.jsonl, checkpoints/, cache/, model/}``.

    Args:
        path: the folder; nothing is touched before ``begun``.
        resume: go on with what is there, or begin where nothing is.
        force: replace what is there.

    Raises:
        UsageError: if there is something and neither is said, or if ``force`` would remove something that is no run.
    """

    def __init__(self, path: str | Path, *, resume: bool = False, force: bool = False) -> None:
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.provenance = self.path / "provenance.json"
        self.plan = self.path / "plan.json"
        self.metrics = self.path / "metrics.jsonl"
        self.checkpoints = self.path / "checkpoints"
        self.draft = self.checkpoints / DRAFT
        self.cache = self.path / "cache"
        self.model = self.path / "model"
        if self.path.exists() and not self.path.is_dir():
            raise UsageError("this is a file, not a run folder", where=str(self.path), hint="name another folder")
        if self.path.is_dir() and any(self.path.iterdir()) and not resume:
            if not force:
                raise UsageError(
                    "the run folder exists already",
                    where=str(self.path),
                    hint="go on with --resume, replace it with --force, or name another folder",
                )
            if not self.config.exists() and not self.model.exists():
                raise UsageError(
                    "this folder is no run of hepgen and is not removed",
                    where=str(self.path),
                    hint="name another folder",
                )
        self._replace = force and not resume

    @contextmanager
    def begun(self) -> Iterator[None]:
        """Make the folder, in the place of an older one where that was asked for.

        If the input turns out to be wrong within, before anything is trained, what was there before is there again:
        otherwise the command with the mended input would be refused, or an older run lost for nothing.
        """
        fresh = self._replace or not self.path.is_dir() or not any(self.path.iterdir())
        aside = self.path.with_name(f".{self.path.name}.replaced-{os.getpid()}")
        with output_errors(self.path):
            if self._replace and self.path.is_dir():
                self.path.rename(aside)
            self._replace = False
            self.path.mkdir(parents=True, exist_ok=True)
        try:
            yield
        except (InputFileError, UsageError):
            if fresh and not self.plan.exists():
                shutil.rmtree(self.path, ignore_errors=True)
                if aside.is_dir():
                    aside.rename(self.path)
            raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)

    def drop_cache(self, caches: Iterable[EncodedCache | None]) -> None:
        """Close encoded events, where there are any, and remove their files."""
        for cache in caches:
            if cache is not None:
                cache.close()
        shutil.rmtree(self.cache, ignore_errors=True)

    @property
    def finished(self) -> bool:
        return self.model.is_dir() and not self._replace

    def keep_recipe(self, recipe: AnyRecipe) -> dict[str, Any]:
        """Store the resolved recipe, or check that it is the stored one; returns its plain values.

        Raises:
            ConfigError: naming the first key that differs.
        """
        text = dump_recipe(recipe)
        if self.config.exists():
            stored = parse_yaml(self.config.read_text(encoding="utf-8"), where=str(self.config))
            found = first_difference(stored, parse_yaml(text, where="recipe"))
            if found is not None:
                key, old, new = found
                raise ConfigError(
                    f"the run was begun with {key} = {old}, not {new}",
                    where=str(self.config),
                    hint="use the same recipe to go on, or --force to begin anew",
                )
        else:
            write_atomic(self.config, text)
        plain: dict[str, Any] = parse_yaml(text, where="recipe")
        return plain

    def read_provenance(self) -> dict[str, Any]:
        """What an earlier session wrote, or an empty mapping.

        Raises:
            ModelError: if it is damaged.
        """
        if not self.provenance.exists():
            return {}
        try:
            found: dict[str, Any] = json.loads(self.provenance.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelError(
                "the provenance of the run is damaged", where=str(self.provenance), hint="begin anew with --force"
            ) from error
        return found

    def write_provenance(self, content: Mapping[str, Any]) -> None:
        write_atomic(self.provenance, json.dumps(content, indent=1) + "\n")


def first_difference(old: Any, new: Any, path: tuple[str, ...] = ()) -> tuple[str, Any, Any] | None:
    """The first key in which two recipes differ, with both values; paths of files do not count.

    Example:
        >>> first_difference({"a": {"b": 1}}, {"a": {"b": 2}})
        ('a.b', 1, 2)
    """
    if path in _FREE:
        return None
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            found = first_difference(old.get(key), new.get(key), (*path, str(key)))
            if found is not None:
                return found
        return None
    return None if old == new else (".".join(path), old, new)
