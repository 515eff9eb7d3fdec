"""The bundle: what is saved is what is loaded, and damage is named."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toys import toy_surrogate

from hepgen.config.families import FAMILIES, Family
from hepgen.errors import ModelError
from hepgen.representations.registry import KINDS
from hepgen.sampling.run import sample_events
from hepgen.surrogate.surrogate import Surrogate


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FAMILIES, "coupling", Family("coupling", "toys:Gaussian", FAMILIES["coupling"].options, ""))
    monkeypatch.setitem(KINDS, "toy", "toys:ToyRepresentation")


def sampled(surrogate: Surrogate) -> Any:
    return next(sample_events(surrogate, 20, seed=1))


def test_a_bundle_gives_the_same_events(tmp_path: Path) -> None:
    surrogate = toy_surrogate()
    surrogate.save(tmp_path / "bundle", scores={"auc_high": {"value": 0.6, "error": 0.01, "floor": 0.51, "n": 4000}})
    again = Surrogate.load(tmp_path / "bundle")
    assert sampled(again).to_list() == sampled(surrogate).to_list()
    assert again.model_sha256 == surrogate.model_sha256
    assert again.schema == surrogate.schema
    assert np.array_equal(again.conditions, surrogate.conditions)
    assert "| auc_high | 0.6 | 0.01 | 0.51 | 4000 |" in (tmp_path / "bundle" / "README.md").read_text()
    surrogate.save(tmp_path / "bundle")  # takes the old one's place
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_tensor_names_carry_stage_slice_and_replica(tmp_path: Path) -> None:
    assert all(name.startswith(("first.0.0.", "second.0.0.")) for name in toy_surrogate().bundle().tensors)


def test_half_precision_halves_the_file_and_keeps_three_digits(tmp_path: Path) -> None:
    surrogate = toy_surrogate()
    surrogate.save(tmp_path / "half", dtype="float16")
    surrogate.save(tmp_path / "full")
    sizes = [sum(t.nbytes for t in surrogate.bundle(dtype=kind).tensors.values()) for kind in ("float16", "float32")]
    assert sizes[0] * 2 == sizes[1]
    again = Surrogate.load(tmp_path / "half")
    assert next(iter(again.generators["first"].parameters())).dtype == torch.float32
    assert np.allclose(sampled(again).y, sampled(surrogate).y, atol=0.01)
    with pytest.raises(ModelError, match="int8"):
        surrogate.save(tmp_path / "x", dtype="int8")


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "representation.json", "provenance.json", "validity.json"]
)
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, damage: str) -> None:
    toy_surrogate().save(tmp_path / "bundle")
    victim = tmp_path / "bundle" / name
    content = victim.read_bytes()
    if damage == "truncate":
        victim.write_bytes(content[: len(content) // 2])
    elif damage == "flip":
        victim.write_bytes(content[:10] + bytes([content[10] ^ 1]) + content[11:])
    else:
        victim.unlink()
    with pytest.raises(ModelError) as caught:
        Surrogate.load(tmp_path / "bundle")
    assert name in str(caught.value) or (name == "config.json" and damage == "remove")


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such model"):
        Surrogate.load(tmp_path / "nothing")
    with pytest.raises(ModelError, match="no surrogate"):
        Surrogate.load(tmp_path)


def test_a_bundle_of_a_later_version_is_refused(tmp_path: Path) -> None:
    from hepgen.training.files import sealed, unseal

    toy_surrogate().save(tmp_path / "bundle")
    path = tmp_path / "bundle" / "config.json"
    path.write_text(sealed({**unseal(path), "schema_version": 99}))
    with pytest.raises(ModelError, match="format 99"):
        Surrogate.load(tmp_path / "bundle")


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    bundle = toy_surrogate().bundle()
    bundle.config["parts"][0]["features"] = 3
    with pytest.raises(ModelError, match="stage 'first' do not fit"):
        Surrogate.from_bundle(bundle)


def test_documents_are_json_without_special_numbers(tmp_path: Path) -> None:
    toy_surrogate().save(tmp_path / "bundle")
    for path in (tmp_path / "bundle").glob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)
