from pathlib import Path

import pytest
import torch

from hepgen.errors import ModelError, OutputError
from hepgen.training import checkpoint as module
from hepgen.training.checkpoint import CheckpointStore
from hepgen.training.progress import Silent


def _save(store: CheckpointStore, step: int) -> Path:
    weights = torch.full((3, 2), float(step))
    return store.save(
        "shapes", step, {"model": {"w": weights, "tied": weights}, "ema": {"w": weights.T}}, {"done": False}
    )


def test_the_last_two_checkpoints_are_kept_and_named_by_latest(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path / "checkpoints", print)
    for step in (1, 2, 1000000):
        _save(store, step)
    names = sorted(path.name for path in store.folder.iterdir())
    assert names == ["latest", "shapes-step-000002", "shapes-step-1000000"]
    assert (store.folder / "latest").read_text() == "shapes-step-1000000\n"
    loaded = store.load("shapes")
    assert loaded is not None
    assert loaded.step == 1000000
    assert loaded.state["done"] is False
    assert torch.equal(loaded.tensors["model"]["w"], torch.full((3, 2), 1e6))
    assert store.load("energies") is None


@pytest.mark.parametrize("name", ["model.safetensors", "ema.safetensors", "state.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_a_damaged_checkpoint_is_passed_over_with_a_message(tmp_path: Path, name: str, damage: str) -> None:
    messages: list[str] = []
    store = CheckpointStore(tmp_path, messages.append)
    _save(store, 1)
    victim = _save(store, 2) / name
    data = victim.read_bytes()
    if damage == "truncate":
        victim.write_bytes(data[: len(data) // 2])
    elif damage == "flip":
        victim.write_bytes(data[:30] + bytes([data[30] ^ 1]) + data[31:])
    else:
        victim.unlink()
    loaded = store.load("shapes")
    assert loaded is not None
    assert loaded.step == 1
    assert "shapes-step-000002 is damaged" in messages[0]


def test_only_damaged_checkpoints_are_an_error(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, Silent().message)
    (_save(store, 1) / "state.json").write_text("{}")
    with pytest.raises(ModelError, match="every checkpoint"):
        store.load("shapes")


def test_a_full_disk_is_worth_another_try_and_leaves_the_old_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(tmp_path, print)
    _save(store, 1)

    def full(path: Path, content: str) -> None:
        raise OutputError("cannot write: No space left on device")

    monkeypatch.setattr(module, "write_atomic", full)
    with pytest.raises(OutputError):
        _save(store, 2)
    monkeypatch.undo()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "shapes-step-000001"]


def test_half_written_folders_are_cleaned(tmp_path: Path) -> None:
    (tmp_path / ".part-123-shapes-step-000001").mkdir()
    CheckpointStore(tmp_path, print).clean()
    assert not list(tmp_path.iterdir())


def test_nothing_is_pickled() -> None:
    for path in Path(module.__file__).parent.glob("*.py"):
        text = path.read_text()
        assert "import pickle" not in text
        assert "torch.load(" not in text
        assert "torch.save(" not in text
