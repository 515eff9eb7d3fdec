"""How many cores this job may use: a batch slot of 2 cores on a node of 128 must not start 128 threads."""

from __future__ import annotations

import math
import os
from pathlib import Path

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def available_cores(root: Path = Path("/")) -> int:
    """The least of the processor affinity, the control group's quota and ``OMP_NUM_THREADS``, at least 1.

    Args:
        root: where ``sys/fs/cgroup`` and ``proc/self/cgroup`` are looked for.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    limits = [float(len(affinity(0)) if affinity is not None else os.cpu_count() or 1)]
    limits += [quota for quota in (_quota_v2(root), _quota_v1(root)) if quota is not None]
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    if wanted.isdigit() and int(wanted) > 0:
        limits.append(float(wanted))
    return max(1, math.floor(min(limits)))


def use_threads(threads: int) -> None:
    """Bind the thread pools of every library that is not imported yet to this number; torch is told by who uses it."""
    for variable in _THREAD_VARIABLES:
        os.environ[variable] = str(threads)


def _quota_v2(root: Path) -> float | None:
    """Cores allowed by the control groups (version 2) that this process is in, from its own up to the top."""
    lines = _read(root / "proc/self/cgroup").splitlines()
    own = next((line.split("::", 1)[1] for line in lines if line.startswith("0::")), "/")
    top = root / "sys/fs/cgroup"
    folder = top / own.lstrip("/")
    quotas = []
    for place in (folder, *folder.parents):
        quota, _, period = _read(place / "cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            quotas.append(int(quota) / int(period))
        if place == top:
            break
    return min(quotas, default=None)


def _quota_v1(root: Path) -> float | None:
    folder = root / "sys/fs/cgroup/cpu"
    quota, period = _read(folder / "cpu.cfs_quota_us").strip(), _read(folder / "cpu.cfs_period_us").strip()
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) > 0 else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
