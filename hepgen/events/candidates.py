"""Jets of NanoAOD with their candidates: events with index branches become one row a jet.

NanoAOD lists jets (``FatJet_pt``), candidates of the whole event (``PFCands_pt``), and links between them:
``FatJetPFCands_jetIdx`` numbers the jet of the event, ``FatJetPFCands_pFCandsIdx`` the candidate.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from hepgen.errors import ConfigError, InputFileError, RowError, suggest_or_list
from hepgen.events.schema import Column, Schema
from hepgen.events.source import EventSource, NumberedBatch, SourceBase, as_numbered, naming_entries, record

Array = NDArray[np.int64]

JET, PART = "jet_", "part_"
_MOMENTUM = ("pt", "eta", "phi")
_RAW = "rawFactor"  # NanoAOD: 1 - uncorrected pt / pt
_PUPPI = "puppiWeight"


@dataclass(frozen=True)
class Links:
    """How the jets of a NanoAOD file are linked to their candidates.

    Attributes:
        jets: collection of the jets (``FatJet``).
        candidates: collection of the candidates (``PFCands``).
        between: collection of the links (``FatJetPFCands``).
        jet_index, candidate_index: columns of the links.
        weight: column of the candidates that multiplies their momenta in the jet, empty for none.
    """

    jets: str
    candidates: str
    between: str
    jet_index: str
    candidate_index: str
    weight: str = ""


def find_links(schema: Schema) -> dict[str, Links]:
    """The collections of jets that are linked to candidates, by name; large jets first.

    Large jets (``FatJet``) are made of candidates with PUPPI weights (arXiv:1407.6013), small ones of Run 2 without.

    Example:
        >>> names = ["FatJet_pt", "FatJet_eta", "FatJet_phi", "PFCands_pt", "PFCands_eta", "PFCands_phi"]
        >>> names += ["PFCands_puppiWeight", "FatJetPFCands_jetIdx", "FatJetPFCands_pFCandsIdx"]
        >>> found = find_links(Schema(tuple(Column(name, "float32", jagged=True) for name in names)))
        >>> found["FatJet"].candidates, found["FatJet"].candidate_index, found["FatJet"].weight
        ('PFCands', 'FatJetPFCands_pFCandsIdx', 'PFCands_puppiWeight')
    """
    lists = {column.name for column in schema if column.jagged and not column.shape}
    momenta = {name.removesuffix("_pt") for name in lists if name.endswith("_pt")}
    momenta = {name for name in momenta if all(f"{name}_{one}" in lists for one in _MOMENTUM)}
    found = {}
    for jet_index in sorted(name for name in lists if name.endswith("_jetIdx")):
        between = jet_index.removesuffix("_jetIdx")
        jets = max((name for name in momenta if between.startswith(name)), key=len, default="")
        if not jets:
            continue
        bare = between.removeprefix(jets)
        candidates = _named_like(f"Gen{bare}" if jets.startswith("Gen") else bare, momenta - {jets})
        index = next((name for name in sorted(lists) if _is_candidate_index(name, between)), "")
        if not candidates or not index:
            continue
        weight = f"{candidates}_{_PUPPI}"
        large = re.search(r"fat|ak(8|10|15)|puppi", jets, re.IGNORECASE) is not None
        found[jets] = Links(jets, candidates, between, jet_index, index, weight if large and weight in lists else "")
    return dict(sorted(found.items(), key=lambda pair: (not pair[1].weight, pair[0])))


def _named_like(name: str, collections: set[str]) -> str:
    """The collection of this name, in one number or the other; empty where there is none."""
    wanted = name.lower().rstrip("s")
    return next((one for one in sorted(collections) if wanted and one.lower().rstrip("s") == wanted), "")


def _is_candidate_index(name: str, between: str) -> bool:
    if name == f"{between}Idx":
        return True
    bare = name.removeprefix(f"{between}_")
    return bare != name and re.fullmatch(r"(pf?)?cands?idx", bare, re.IGNORECASE) is not None


class CandidateJets(SourceBase):
    """One row a jet: ``jet_*`` its columns, ``part_*`` lists of its candidates by falling pt; made by `jets_of_candidates`.

    Attributes:
        links: how jets and candidates are linked.
    """

    def __init__(self, source: EventSource, links: Links) -> None:
        self._source = as_numbered(source)
        self.links = links
        below = self._source.schema
        lists = [column for column in below if column.jagged and not column.shape]
        self._origin: dict[str, str] = {}
        columns: list[Column] = []
        for collection, prefix in ((links.jets, JET), (links.candidates, PART), (links.between, PART)):
            for column in lists:
                suffix = column.name.removeprefix(f"{collection}_")
                name = prefix + suffix
                if suffix == column.name or name in self._origin or suffix.endswith("Idx"):
                    continue
                self._origin[name] = column.name
                columns.append(replace(column, name=name, jagged=prefix == PART, counter=None, stored_as=""))
        self.schema = Schema(tuple(columns), tree=below.tree, format=below.format)
        self.files, self.skipped, self.starts = self._source.files, self._source.skipped, self._source.starts

    def numbered_batches(self, columns: Sequence[str] | None = None) -> Iterator[NumberedBatch]:
        wanted = [self.schema[name].name for name in (self.schema.names if columns is None else columns)]
        for batch in self._source.numbered_batches(self._below(wanted)):
            with naming_entries(self._source, batch):
                counts = np.asarray(ak.num(batch.events[f"{self.links.jets}_pt"], axis=1), dtype=np.int64)
                events = jets_of_batch(batch.events, self.links, {name: self._origin[name] for name in wanted})
            if len(events):
                yield NumberedBatch(events, np.repeat(batch.entry, counts), np.repeat(batch.file, counts))

    def _below(self, wanted: Sequence[str]) -> list[str]:
        links, below = self.links, self._source.schema
        needed = {self._origin[name] for name in wanted} | {f"{links.jets}_pt"}
        if any(name.startswith(PART) for name in wanted):
            needed |= {links.jet_index, links.candidate_index, f"{links.candidates}_pt"}
            needed |= {links.weight} - {""}
        needed |= {f"{links.jets}_{_RAW}"} & set(below.names)
        return [name for name in below.names if name in needed]


def jets_of_candidates(source: EventSource, collection: str = "", *, weight: str | None = None) -> CandidateJets:
    """Make every jet of a NanoAOD collection one row with the candidates that it is made of.

    Jets without a candidate have empty lists. ``jet_pt`` and ``jet_mass`` are those before the energy corrections where
    the file has ``rawFactor``, because those are what the candidates add up to; ``jet_pt / (1 - jet_rawFactor)`` is
    corrected. Candidates of weight 0 are left out, pt and mass of the others are multiplied by it. A row keeps the entry
    of its event.

    Args:
        source: events with index branches.
        collection: of jets, such as ``FatJet``; the first of `find_links` where empty.
        weight: column of the candidates that multiplies their momenta, empty for none; by the kind of jets where None.

    Raises:
        ConfigError: if there are no such jets with candidates, or no such weight.
        InputFileError: if an index points to no jet or no candidate, with the entry.
    """
    found = find_links(source.schema)
    if not found or (collection and collection not in found):
        hint = (
            suggest_or_list(collection, found)
            if found
            else "expected are FatJetPFCands_jetIdx, PFCands_pt and the like"
        )
        words = f"no jets '{collection}' with candidates" if collection else "no jets with index branches to candidates"
        raise ConfigError(words, where=f"tree '{source.schema.tree}'", hint=hint)
    links = found[collection or next(iter(found))]
    if weight is not None:
        try:
            weight = weight and source.schema[weight].name
        except InputFileError as error:
            raise ConfigError(f"no weight '{weight}'", where=error.where, hint=error.hint) from None
        links = replace(links, weight=weight)
    return CandidateJets(source, links)


def jets_of_batch(events: ak.Array, links: Links, columns: dict[str, str]) -> ak.Array:
    """The jets of a batch of events, one record a jet.

    Args:
        events: records with the columns.
        links: how jets and candidates are linked.
        columns: of the result, ``jet_*`` and ``part_*``, with the columns that they are made of.

    Raises:
        RowError: if an index points to no jet or no candidate, with the row.

    Example:
        >>> names = {"Jet_pt": [[9.0, 5.0]], "PFCands_pt": [[5.0, 3.0, 6.0]]}
        >>> index = {"JetPFCands_jetIdx": [[0, 0, 1]], "JetPFCands_pFCandsIdx": [[1, 2, 0]]}
        >>> links = Links("Jet", "PFCands", "JetPFCands", "JetPFCands_jetIdx", "JetPFCands_pFCandsIdx")
        >>> made = jets_of_batch(ak.Array(names | index), links, {"jet_pt": "Jet_pt", "part_pt": "PFCands_pt"})
        >>> made.to_list()
        [{'jet_pt': 9.0, 'part_pt': [6.0, 3.0]}, {'jet_pt': 5.0, 'part_pt': [5.0]}]
    """
    per_event = np.asarray(ak.num(events[f"{links.jets}_pt"], axis=1), dtype=np.int64)
    rows = int(per_event.sum())
    found = {name: _of_jets(events, links, origin) for name, origin in columns.items() if name.startswith(JET)}
    lists = {name: origin for name, origin in columns.items() if name.startswith(PART)}
    if lists:
        link, candidate, counts = _order(events, links, per_event)
        weight = _flat(events[links.weight])[candidate] if links.weight else None
        for name, origin in lists.items():
            values = _flat(events[origin])
            values = values[link] if origin.startswith(f"{links.between}_") else values[candidate]
            if weight is not None and origin in {f"{links.candidates}_pt", f"{links.candidates}_mass"}:
                values = (values * weight).astype(values.dtype)
            found[name] = ak.unflatten(values, counts)
    return record({name: found[name] for name in columns}, rows)


def _of_jets(events: ak.Array, links: Links, origin: str) -> NDArray[Any]:
    values = _flat(events[origin])
    raw = f"{links.jets}_{_RAW}"
    if raw in events.fields and origin in {f"{links.jets}_pt", f"{links.jets}_mass"}:
        return np.asarray(values * (1 - _flat(events[raw])), dtype=values.dtype)
    return values


def _order(events: ak.Array, links: Links, per_event: Array) -> tuple[Array, Array, Array]:
    """Numbers of the links and of their candidates, jet by jet and by falling pt, and how many each jet has."""
    sizes = np.asarray(ak.num(events[links.jet_index], axis=1), dtype=np.int64)
    other = np.asarray(ak.num(events[links.candidate_index], axis=1), dtype=np.int64)
    if (sizes != other).any():
        row = int(np.flatnonzero(sizes != other)[0])
        words = f"'{links.candidate_index}' has {other[row]} elements where '{links.jet_index}' has {sizes[row]}"
        raise RowError(words, row, hint="every link needs both indices")
    event = np.repeat(np.arange(len(sizes)), sizes)
    candidates = np.asarray(ak.num(events[f"{links.candidates}_pt"], axis=1), dtype=np.int64)
    jet = _global(_flat(events[links.jet_index]), per_event, event, links.jet_index, links.jets)
    candidate = _global(
        _flat(events[links.candidate_index]), candidates, event, links.candidate_index, links.candidates
    )
    pt = _flat(events[f"{links.candidates}_pt"]).astype(np.float64)[candidate]
    kept = np.ones(len(jet), dtype=bool)
    if links.weight:
        weight = _flat(events[links.weight])[candidate]
        pt, kept = pt * weight, weight != 0
    order = np.lexsort((-pt, jet))
    order = order[kept[order]]
    return order, candidate[order], np.bincount(jet[order], minlength=int(per_event.sum()))


def _global(index: NDArray[Any], sizes: Array, event: Array, name: str, collection: str) -> Array:
    """Numbers within an event as numbers within the batch."""
    numbers = index.astype(np.int64)
    wrong = (numbers < 0) | (numbers >= sizes[event])
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0])
        row = int(event[place])
        words = f"'{name}' is {numbers[place]} where the event has {sizes[row]} of '{collection}'"
        raise RowError(words, row, hint="indices count from 0 within an event; was the collection filtered?")
    return np.asarray((np.cumsum(sizes) - sizes)[event] + numbers)


def _flat(values: ak.Array) -> NDArray[Any]:
    return np.asarray(ak.to_numpy(ak.flatten(values, axis=1)))
