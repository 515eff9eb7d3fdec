"""Requirements of ``hepgen evaluate`` that name a score which the evaluation will not have: found before it begins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hepgen.errors import ConfigError, suggest
from hepgen.evaluation.domain import Domain
from hepgen.evaluation.domains import domain_of_kind
from hepgen.evaluation.gates import Gate
from hepgen.evaluation.jets import JetDomain
from hepgen.evaluation.one_dimensional import DIVERGENCES, METRICS
from hepgen.evaluation.protocols import PROTOCOLS
from hepgen.evaluation.response import STATISTICS
from hepgen.evaluation.showers import ShowerDomain
from hepgen.events.schema import Schema

_ANY_KIND = (
    *("fpd", "fpd_intercept", "kpd", "sliced_w1", "energy_distance", "energy_distance.p", "correlation", "global.p"),
    *("chi2ndf_2d.mean", "chi2ndf_2d.max", "outliers"),
    *("separation.mean", "separation.max", "ks.max", "ks.max.all", "w1.max.all"),
    *("precision", "recall", "density", "coverage", "qmse", "equivalent_events"),
)
_TESTS = {"calorimeter": ("_high", "_trees", "_low"), "jets": ("_high", "_set"), "table": ("",)}
_POSTERIORS = {"calorimeter": ("_high", "_low"), "jets": ("_set",), "table": ("",)}
_OF_CLASSIFIERS = ("auc", "jsd", "kl", "kl_reverse", "chi2", "hellinger", "control.auc")
_OF_JETS = ("w1m", "w1p", "w1efp", "coverage_emd", "mmd_emd")
_PER_BIN = ("separation.mean", "separation.max", "ks.max")
_OF_TRAINING = ("memorisation.ratio", "memorisation.close", "amplification")
_PUBLISHED = ("fpd_extrapolated", "kpd_median")
_NUMBER = r"-?[\d.]+(?:e[-+]?\d+)?"


def domain_of(options: Mapping[str, Any], reference: Schema) -> Domain:
    """The kind of events that an evaluation with these options judges, before anything of it is read.

    Args:
        options: as `hepgen.cli.judge.Judge.options` gives them.
        reference: the columns of the reference.
    """
    return domain_of_kind(schema=reference, work=PROTOCOLS["fast"], **options)


def check_names(
    gates: Sequence[Gate], domain: Domain, *, published: bool, training: bool, generators: Sequence[str] = ()
) -> None:
    """Refuse a requirement on a score that the report cannot have.

    Which bins of the conditions there are is known only when the events are read: a score of a bin is held to the form
    of its name.

    Args:
        gates: the requirements.
        domain: the kind of events.
        published: whether the distances of the CaloChallenge are computed.
        training: whether training events are compared, for memorisation and amplification.
        generators: names of the generators that are compared with each other.

    Raises:
        ConfigError: naming the score, with a suggestion.
    """
    known = [*_always(domain), *(_PUBLISHED if published else ()), *(_OF_TRAINING if training else ())]
    known += [f"logpost{test}.{name}" for test in _POSTERIORS[domain.kind] for name in generators]
    for gate in gates:
        if gate.name in known or _is_of_bin(gate.name, domain):
            continue
        raise ConfigError(
            f"no score '{gate.name}'",
            where=f"--require {gate.name}{gate.sign}{gate.limit:g}",
            hint=_advice(gate.name, known, domain),
        )


def _always(domain: Domain) -> list[str]:
    tests = _TESTS[domain.kind]
    names = [f"{quantity}{test}" for quantity in _OF_CLASSIFIERS for test in tests]
    names += [
        *_ANY_KIND,
        *(f"{metric}.{one.name}" for one in domain.observables for metric in (*METRICS, *DIVERGENCES)),
        *(f"equivalent_events.{one.name}" for one in domain.observables if not one.integer),
    ]
    if domain.spectrum is not None:
        names.append(f"separation.{domain.spectrum.name}")
    if isinstance(domain, JetDomain):
        names += _OF_JETS
    if isinstance(domain, ShowerDomain):
        names += [f"response.{statistic}.max" for statistic in STATISTICS]
        names += ["profile.max", *(f"profile.{layer.id}" for layer in domain.binning.layers)]
    return names


def _is_of_bin(name: str, domain: Domain) -> bool:
    """``auc_high@1024`` or ``ks.max@eta=0-0.5``; of showers also ``response.mean.1024``."""
    first, *further = domain.condition_names or ("",)
    bare = isinstance(domain, ShowerDomain)
    named = further if bare else domain.condition_names
    label = "|".join([*([""] if bare else []), *(re.escape(f"{one}=") for one in named)])
    one_dimensional = (f"{metric}.{one.name}" for metric in METRICS for one in domain.observables)
    scores = _alternatives([*_PER_BIN, *(f"auc{test}" for test in _TESTS[domain.kind]), *one_dimensional])
    energy = rf"|response\.(?:{_alternatives(STATISTICS)})\.{_NUMBER}(?:-{_NUMBER})?" if bare else ""
    at_bin = rf"(?:{scores})@(?:{label}){_NUMBER}(?:-{_NUMBER})?" if first else "(?!)"
    return re.fullmatch(at_bin + energy, name) is not None


def _alternatives(words: Iterable[str]) -> str:
    return "|".join(re.escape(word) for word in words)


def _advice(name: str, known: Sequence[str], domain: Domain) -> str:
    if name in _OF_TRAINING:
        return "it is compared with training events: name them with --training FILE"
    if name in _PUBLISHED:
        return "only --protocol calochallenge has it"
    _, at, _ = name.partition("@")
    if at:
        listed = ", ".join(domain.condition_names)
        return (
            f"a bin is named by its condition, such as {_example(domain)}; conditions: {listed}"
            if listed
            else ("there are no conditions, so no bins of them")
        )
    few = ", ".join([*(f"auc{test}" for test in _TESTS[domain.kind]), *_ANY_KIND])
    return (
        suggest(name, known)
        or f"a {domain.kind} has {few} and, per observable, {', '.join(f'{x}.NAME' for x in (*METRICS, *DIVERGENCES))}"
    )


def _example(domain: Domain) -> str:
    test = f"auc{_TESTS[domain.kind][0]}"
    return f"{test}@1024" if isinstance(domain, ShowerDomain) else f"{test}@{domain.condition_names[0]}=1-2"
