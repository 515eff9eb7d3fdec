"""The files of a bundle: numbers and JSON, no pickle, and a hash of each so that damage is named.

``model.safetensors``, ``representation.json``, ``provenance.json`` and ``validity.json`` are hashed in ``config.json``,
which holds its own digest; ``README.md``, the card, may be edited.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hepgen.errors import ModelError
from hepgen.training.files import (
    read_tensors,
    replaced_folder,
    sealed,
    sha256_of,
    unseal,
    write_atomic,
    write_tensors,
)

SCHEMA_VERSION = 2
WEIGHTS = "model.safetensors"
_DOCUMENTS = ("representation", "provenance", "validity")


@dataclass
class Bundle:
    """What the files of a bundle hold.

    Attributes:
        config: version, task, parts, output schema, recipe, data.
        tensors: ``stage.slice.replica.name`` to tensor, or None in the draft of an unfinished run.
        card: text of ``README.md``.
        model_sha256: hash of the weights file.
    """

    config: dict[str, Any]
    representation: dict[str, Any]
    provenance: dict[str, Any]
    validity: dict[str, Any]
    tensors: dict[str, Tensor] | None = None
    card: str = ""
    model_sha256: str = ""


def write_bundle(folder: Path, bundle: Bundle) -> None:
    """Write a bundle; it takes the place of the folder at once.

    Raises:
        OutputError: if the file system refuses.
    """
    with replaced_folder(folder) as part:
        hashes: dict[str, str] = {}
        if bundle.tensors is not None:
            hashes[WEIGHTS] = bundle.model_sha256 = write_tensors(part / WEIGHTS, bundle.tensors)
        for name in _DOCUMENTS:
            write_atomic(part / f"{name}.json", json.dumps(getattr(bundle, name), indent=1) + "\n")
            hashes[f"{name}.json"] = sha256_of(part / f"{name}.json")
        config = {**bundle.config, "schema_version": SCHEMA_VERSION, "files": hashes}
        write_atomic(part / "config.json", sealed(config))
        write_atomic(part / "README.md", bundle.card)


def read_bundle(folder: Path) -> Bundle:
    """Read a bundle and verify every file of it.

    Raises:
        ModelError: if a file is missing or damaged, or the bundle is of a later version.
    """
    config = unseal(folder / "config.json")
    version = config.pop("schema_version", None)
    if version != SCHEMA_VERSION:
        raise ModelError(
            f"the bundle has format {version}, this hepgen reads {SCHEMA_VERSION}",
            where=str(folder),
            hint="install the version of hepgen that wrote it, or a later one",
        )
    hashes: dict[str, str] = config.pop("files")
    documents: dict[str, Any] = {}
    for name in _DOCUMENTS:
        path = folder / f"{name}.json"
        if not path.is_file():
            raise ModelError(f"no file '{path.name}'", where=str(folder), hint="copy the model anew")
        if sha256_of(path) != hashes.get(path.name):
            raise ModelError(f"'{path.name}' is damaged: its hash differs", where=str(path), hint="copy the model anew")
        documents[name] = json.loads(path.read_text())
    tensors = None
    if WEIGHTS in hashes:
        stored = read_tensors(folder / WEIGHTS, hashes[WEIGHTS])
        tensors = {
            name: tensor.to(torch.float32) if tensor.dtype in {torch.float16, torch.bfloat16} else tensor
            for name, tensor in stored.items()
        }
    card = folder / "README.md"
    return Bundle(
        config,
        **documents,
        tensors=tensors,
        card=card.read_text(encoding="utf-8") if card.is_file() else "",
        model_sha256=hashes.get(WEIGHTS, ""),
    )


def bundle_in(folder: str | Path) -> Path | None:
    """The bundle in a run folder, or that is this folder itself; None where there is none."""
    both = (Path(folder) / "model", Path(folder))
    return next((one for one in both if (one / "config.json").is_file()), None)


def task_of(folder: str | Path) -> str:
    """The task of the model in a run folder or bundle; ``generate`` where there is none, which its reader will refuse."""
    bundle = bundle_in(folder)
    return "generate" if bundle is None else str(unseal(bundle / "config.json").get("task", "generate"))
