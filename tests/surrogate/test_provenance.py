from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from hepgen.surrogate.provenance import describe_input


def test_the_path_of_an_input_is_absolute_and_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "a.root").write_bytes(b"events")
    monkeypatch.chdir(tmp_path / "configs")
    for path in ("../a.root", f"{tmp_path}/configs/../a.root", str(tmp_path / "a.root")):
        found = describe_input(path, "events", 3)
        assert found["path"] == str(tmp_path / "a.root")
        assert (found["size"], found["tree"], found["entries"]) == (6, "events", 3)
        assert found["sha256"] == hashlib.sha256(b"events").hexdigest()


def test_a_url_stays_as_it_is() -> None:
    assert describe_input("root://eos//a/../b.root", "events", 3)["path"] == "root://eos//a/../b.root"
