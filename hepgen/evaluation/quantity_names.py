"""What a column is by its name and unit: energies, which are never negative, and azimuths, which go around a circle."""

from __future__ import annotations

import re

from hepgen.evaluation.histograms import Observable

_ENERGY_UNITS = frozenset({"", "ev", "kev", "mev", "gev", "tev", "mev/c", "gev/c", "mev/c^2", "gev/c^2"})
_ENERGIES = re.compile(
    r"pt|et|ht|st|met|mt|en|energy|ene|mass|msd|msoftdrop|m(\d?(l|j|b|t|g|w|z|h|e|mu|tau|x))+", re.ASCII
)
_LETTERS = frozenset({"e", "m"})
"""Energy and mass where they begin (``m_jj``) or end a name (``jet1_e``); within a name they may be anything."""

_SIGNED = frozenset(
    {"eta", "y", "theta", "x", "z", "px", "py", "pz", "charge", "q", "id", "pdgid", "d", "delta", "diff", "log", "ln"}
    | {"asymmetry", "asym", "balance", "residual", "pull", "bias", "shift", "cos", "sin", "dphi", "deta", "dpt", "dm"}
)
_AZIMUTHS = frozenset({"phi", "dphi", "deltaphi", "azimuth", "varphi"})
_OF_AZIMUTHS = frozenset({"cos", "sin", "tan", "log", "width", "sigma", "err", "error"})


def _words(name: str) -> list[str]:
    """The words of a name in small letters, without numbers of objects.

    Example:
        >>> _words("Muon_pt[0]"), _words("jet1Pt"), _words("m_jj"), _words("m4l"), _words("pT_2")
        (['muon', 'pt'], ['jet', 'pt'], ['m', 'jj'], ['m4l'], ['pt'])
    """
    joined = re.sub(r"p_?T(?![a-z])", "pt", name)
    apart = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", joined)
    parts = [part.lower() for part in re.split(r"[^A-Za-z0-9]+", apart) if part]
    return [bare for part in parts if (bare := re.sub(r"\d+$", "", part))]


def is_energy(one: Observable) -> bool:
    """Whether an observable is, by its name, an energy, a transverse momentum or a mass.

    Components of momenta, differences, logarithms, angles and charges are not, whatever else their names say, nor is what
    has another unit.

    Example:
        >>> names = "jet_pt pt_1 Muon_pt lep1_pt E jet1_e m_jj mll met ht px met_phi e_eta delta_m n_jets".split()
        >>> [name for name in names if is_energy(Observable(name, name))]
        ['jet_pt', 'pt_1', 'Muon_pt', 'lep1_pt', 'E', 'jet1_e', 'm_jj', 'mll', 'met', 'ht']
        >>> is_energy(Observable("track_e", "track_e", "GeV")), is_energy(Observable("track_e", "track_e", "mm"))
        (True, False)
    """
    words = _words(one.name)
    if not words or one.unit.lower() not in _ENERGY_UNITS or (_SIGNED | _AZIMUTHS) & set(words):
        return False
    return any(_ENERGIES.fullmatch(word) for word in words) or bool(_LETTERS & {words[0], words[-1]})


def is_azimuth(name: str) -> bool:
    """Whether a name is that of an azimuth or of a difference of two.

    Example:
        >>> [name for name in "lep_phi dphi_jj met_phi1 jet_eta cos_phi phi_width".split() if is_azimuth(name)]
        ['lep_phi', 'dphi_jj', 'met_phi1']
    """
    words = set(_words(name))
    return bool(words & _AZIMUTHS) and not words & _OF_AZIMUTHS
