"""The scores of the short table, in its order."""

from __future__ import annotations

HEADLINES = (
    *("auc", "auc_low", "auc_high", "auc_trees", "auc_set", "jsd", "jsd_low", "jsd_high", "jsd_trees", "jsd_set"),
    *("control.auc", "control.auc_low", "control.auc_high", "control.auc_trees", "control.auc_set"),
    *("w1m", "w1p", "w1efp", "coverage_emd", "mmd_emd"),
    *(
        "fpd",
        "fpd_intercept",
        "fpd_extrapolated",
        "kpd",
        "kpd_median",
        "sliced_w1",
        "energy_distance",
        "energy_distance.p",
    ),
    *(
        "global.p",
        "correlation",
        "chi2ndf_2d.mean",
        "chi2ndf_2d.max",
        "outliers",
        "separation.mean",
        "separation.max",
        "ks.max",
        "ks.max.all",
        "w1.max.all",
    ),
    *(
        "response.mean.max",
        "response.width.max",
        "response.rms.max",
        "profile.max",
        "precision",
        "recall",
        "density",
        "coverage",
    ),
    *("qmse", "equivalent_events", "amplification", "memorisation.ratio", "memorisation.close"),
)


def is_headline(name: str) -> bool:
    """Whether a score belongs to the short table."""
    return name in HEADLINES or name.startswith("logpost")
