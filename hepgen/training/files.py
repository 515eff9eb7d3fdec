"""Files that are whole or not there: write beside, flush, rename; and the hashes that tell a damaged one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import load as load_bytes
from safetensors.torch import save_file
from torch import Tensor

from hepgen.errors import ModelError, OutputError, error_of_writing

_CHUNK = 1 << 20


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Turn a failure of the file system into a UsageError or an OutputError that names the place."""
    try:
        yield
    except OSError as error:
        raise error_of_writing(error, path) from error
    except safetensors.SafetensorError as error:
        raise OutputError(
            f"cannot be written: {error}", where=str(path), hint="free some space and run the command again"
        ) from error


def sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def replaced_folder(final: Path) -> Iterator[Path]:
    """A folder to write into that takes the place of ``final`` at once when the block ends, or leaves nothing behind.

    Raises:
        OutputError: if the file system refuses.
    """
    part = final.with_name(f".{final.name}.part-{os.getpid()}")
    with output_errors(final):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
    try:
        yield part
        with output_errors(final):
            sync(part)
            if final.exists():
                shutil.rmtree(final)
            part.rename(final)
            sync(final.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a small file by renaming a finished one into place.

    Raises:
        OutputError: if the file system refuses.
    """
    data = content.encode() if isinstance(content, str) else content
    part = path.with_name(f".{path.name}.part-{os.getpid()}")
    with output_errors(path):
        try:
            with part.open("wb") as handle:
                handle.write(data)
                handle.flush()
                os.fsync(handle.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        sync(path.parent)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def digest_of(content: Any) -> str:
    """SHA-256 of a JSON-able value, independent of the order of its keys.

    Example:
        >>> digest_of({"a": 1, "b": 2}) == digest_of({"b": 2, "a": 1})
        True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def sealed(content: dict[str, Any]) -> str:
    """JSON text of ``content`` with its own digest, for ``unseal``."""
    return json.dumps({**content, "digest": digest_of(content)}, indent=1) + "\n"


def unseal(path: Path) -> dict[str, Any]:
    """The content of a file written by ``sealed``.

    Raises:
        ModelError: if the file is missing, is not JSON or has been altered.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"no file '{path.name}'", where=str(path.parent), hint="is this a model of hepgen?") from None
    except (OSError, ValueError) as error:
        raise ModelError(
            f"'{path.name}' cannot be read: {error}", where=str(path), hint="copy the model anew"
        ) from None
    if not isinstance(content, dict) or content.pop("digest", None) != digest_of(content):
        raise ModelError(f"'{path.name}' is damaged", where=str(path), hint="copy the model anew")
    return content


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> str:
    """Write named tensors as safetensors, flush them, and return the SHA-256 of the file.

    Raises:
        OutputError: if the file system refuses.
    """
    ready: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().to("cpu").contiguous()
        address = plain.untyped_storage().data_ptr()
        # safetensors refuses tensors that share memory: tied weights are written twice.
        ready[name] = plain.clone() if address in seen else plain
        seen.add(address)
    with output_errors(path):
        save_file(ready, path, metadata={"format": "pt"})
        # safetensors makes files that only their owner may read; a model is for whoever may read its folder.
        path.chmod(path.parent.stat().st_mode & 0o666)
        sync(path)
        return sha256_of(path)


def read_tensors(path: Path, sha256: str) -> dict[str, Tensor]:
    """Named tensors of a safetensors file whose hash is known.

    Raises:
        ModelError: if the file is missing or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"'{path.name}' cannot be read: {error.strerror}", where=str(path), hint="copy the model anew"
        ) from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ModelError(f"'{path.name}' is damaged: its hash differs", where=str(path), hint="copy the model anew")
    return load_bytes(data)
