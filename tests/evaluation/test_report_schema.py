"""The published schema of ``report.json``: it is that of the code, real reports keep it, broken ones do not."""

import json
from dataclasses import replace
from importlib.resources import files

import pytest
from extracts import SMALL, halves, ttbar
from jsonschema import Draft202012Validator

from hepgen.evaluation.report import Report
from hepgen.evaluation.report_schema import SCHEMA_FILE, attribute_words, report_schema, schema_text
from hepgen.evaluation.run import evaluate
from hepgen.evaluation.scores import Score


@pytest.fixture(scope="module")
def report():
    reference, generated = halves(ttbar())
    found = evaluate(
        reference, generated, kind="table", columns=["n_jets", "met"], conditions=[], settings=SMALL, seed=1
    )
    broken = {"generated": {**found.sanity["generated"], "problems": {"not finite": {"count": 1, "events": [3]}}}}
    return replace(found, scores={**found.scores, "none": Score(None, comment="why")}, sanity=broken)


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(files("hepgen.evaluation").joinpath("report.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def test_the_published_file_is_the_schema_of_the_code():
    assert SCHEMA_FILE.read_text(encoding="utf-8") == schema_text(), "run: python -m hepgen.evaluation.report_schema"


def test_a_real_report_keeps_the_schema(report, validator):
    state = json.loads(report.to_json())
    assert state["weights"]
    assert set(state) == set(report_schema()["properties"])
    assert list(validator.iter_errors(state)) == []


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("extra",), 1),
        (("schema_version",), 0),
        (("n", "side"), 0.5),
        (("notes",), "a sentence"),
        (("scores", "auc"), 0.7),
        (("scores", "auc", "value"), "0.7"),
        (("scores", "auc", "sigma"), 0.1),
        (("sanity", "generated", "problems", "not finite", "events"), None),
        (("weights", 0, "effective"), None),
    ],
)
def test_a_broken_report_does_not(report, validator, place, value):
    state = json.loads(report.to_json())
    target = state
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    where = [list(error.absolute_path) for error in validator.iter_errors(state)]
    assert where in ([list(place)], [list(place[:-1])])


@pytest.mark.parametrize("name", ["schema_version", "scores", "sanity", "weights"])
def test_a_report_that_lacks_a_field_does_not(report, validator, name):
    state = json.loads(report.to_json())
    del state[name]
    assert [error.validator for error in validator.iter_errors(state)] == ["required"]


def test_every_field_has_a_description():
    schema = report_schema()
    parts = [schema, *schema["$defs"].values()]
    known = {
        "Score",
        "SampleSanity",
        "Problem",
        "WeightSpectrum",
        "Standout",
        "Extremes",
        "WeightedEvent",
        "GlobalTest",
    }
    assert known == set(schema["$defs"])
    for part in parts:
        assert part["description"]
        assert [name for name, field in part["properties"].items() if not field.get("description")] == []


def test_words_of_attributes_may_take_two_lines_and_be_shared():
    class Thing:
        """A thing.

        Attributes:
            a, b: both of
                them: here.
            c: the third.

        Example:
            d: not a field.
        """

    assert attribute_words(Thing) == {"a": "both of them: here.", "b": "both of them: here.", "c": "the third."}
    assert set(attribute_words(Report)) >= {"kind", "histograms"}
