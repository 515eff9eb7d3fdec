from __future__ import annotations

import os
from pathlib import Path

import pytest

from hepgen.cli.cores import available_cores, use_threads


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node of 64 cores without limits."""
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_limits_every_core_of_the_affinity_counts(node: Path) -> None:
    assert available_cores(node) == 64


def test_the_quota_of_any_group_above_limits(node: Path) -> None:
    write(node / "proc/self/cgroup", "0::/slurm/job_7/step_0\n")
    write(node / "sys/fs/cgroup/slurm/job_7/cpu.max", "400000 100000\n")
    write(node / "sys/fs/cgroup/slurm/job_7/step_0/cpu.max", "max 100000\n")
    assert available_cores(node) == 4


def test_the_quota_of_the_old_control_groups_limits(node: Path) -> None:
    write(node / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "150000\n")
    write(node / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert available_cores(node) == 1


def test_an_unlimited_old_quota_is_no_limit(node: Path) -> None:
    write(node / "sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n")
    write(node / "sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n")
    assert available_cores(node) == 64


def test_omp_num_threads_of_the_batch_system_limits(node: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8,1")
    assert available_cores(node) == 8


def test_threads_reach_the_libraries_that_come_later() -> None:
    use_threads(3)
    assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "3"
