"""Recipes: what they may say, what --set does to them, and the errors that a user sees."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hepgen.config.families import FAMILIES
from hepgen.config.load import apply_sets, dump_recipe, load_recipe, parse_recipe, schema, split_set
from hepgen.config.morph import MorphRecipe
from hepgen.config.yaml import format_yaml, parse_yaml
from hepgen.errors import ConfigError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
TABLE = {"name": "z", "representation": {"kind": "table"}}


@pytest.fixture
def recipe_file(tmp_path: Path) -> Path:
    path = tmp_path / "recipes" / "z.yaml"
    path.parent.mkdir()
    path.write_text(
        "name: z\n"
        "data:\n"
        "  files: [z.root, sub/*.root:Events, '@more.txt', /abs/a.root, 'root://eos.cern.ch//a.root']\n"
        "representation:\n"
        "  kind: calorimeter\n"
        "  binning: bins.xml\n"
        "stages:\n"
        "  shapes:\n"
        "    generator: gan\n"
        "training:\n"
        "  learning_rate: 1e-4\n"
    )
    return path


def refused(raw: dict[str, object]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parse_recipe(raw)
    return caught.value


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_valid_and_survives_being_written(path: Path) -> None:
    recipe = load_recipe(path)
    assert path.stem in {recipe.name, f"morph_{recipe.name}", f"decorrelate_{recipe.name}"}
    assert parse_recipe(parse_yaml(dump_recipe(recipe))) == recipe.resolved()
    sides = [recipe.source, recipe.target] if isinstance(recipe, MorphRecipe) else [recipe.data]
    assert all(side.files for side in sides), "a recipe names its files"


def test_recipes_for_every_supported_data_set_are_shipped() -> None:
    names = {path.stem for path in CONFIGS}
    assert names >= {"demo", "dijets", "electrons", "open_data_muons", "photons", "ttbar", "ttbar_derived"}


def test_the_demo_recipe_finds_its_files() -> None:
    recipe = load_recipe(CONFIGS[0].with_name("demo.yaml"))
    assert all(Path(name).is_file() for name in recipe.data.files)
    assert Path(recipe.representation.binning).is_file()


def test_paths_are_relative_to_the_recipe(recipe_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    here = str(recipe_file.parent)
    recipe = load_recipe(recipe_file)
    assert recipe.data.files == [
        f"{here}/z.root",
        f"{here}/sub/*.root:Events",
        f"@{here}/more.txt",
        "/abs/a.root",
        "root://eos.cern.ch//a.root",
    ]
    assert recipe.representation.binning == f"{here}/bins.xml"


def test_paths_on_the_command_line_are_relative_to_where_one_is(
    recipe_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = load_recipe(recipe_file, ["representation.binning=b.xml"], data=["new.root"])
    assert recipe.data.files == [str(tmp_path / "new.root")]
    assert recipe.representation.binning == str(tmp_path / "b.xml")
    assert load_recipe(recipe_file, ["data.files=[x.root]"]).data.files == [str(tmp_path / "x.root")]


def test_a_single_file_may_stand_without_a_list() -> None:
    assert parse_recipe({**TABLE, "data": {"files": "a.root"}}).data.files == ["a.root"]


def test_set_values_are_yaml(recipe_file: Path) -> None:
    recipe = load_recipe(
        recipe_file,
        [
            "training.steps=1e4",
            "options.coupling.hidden=[64, 32]",
            "data.cut=pt > 3 and eta < 2",
            "training.compile=true",
        ],
    )
    assert recipe.training.steps == 10000
    assert recipe.options_of("energies").hidden == [64, 32]
    assert recipe.data.cut == "pt > 3 and eta < 2"
    assert recipe.training.compile is True
    assert recipe.training.learning_rate == 1e-4


def test_set_generator_picks_the_family_for_every_stage(recipe_file: Path) -> None:
    assert load_recipe(recipe_file).generator_of("shapes") == "gan"
    recipe = load_recipe(recipe_file, ["generator=coupling"])
    assert recipe.generator_of("shapes") == recipe.generator_of("energies") == "coupling"


@pytest.mark.parametrize("turned", [False, True])
def test_set_generator_of_a_stage_wins_in_either_order(recipe_file: Path, turned: bool) -> None:
    sets = ["generator=gan", "stages.shapes.generator=coupling"]
    recipe = load_recipe(recipe_file, sets[::-1] if turned else sets)
    assert (recipe.generator_of("energies"), recipe.generator_of("shapes")) == ("gan", "coupling")


def test_set_does_not_change_the_raw_recipe_it_is_given() -> None:
    raw = {"stages": {"shapes": {"generator": "gan"}}}
    apply_sets(raw, ["generator=coupling", "stages.shapes.share=0.5"])
    assert raw == {"stages": {"shapes": {"generator": "gan"}}}


def test_set_can_replace_an_entry_of_a_list() -> None:
    assert apply_sets({"training": [1, 2]}, ["training.1=3"]) == {"training": [1, 3]}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("training.steps", "sets nothing"),
        ("=3", "sets nothing"),
        ("a..b=3", "sets nothing"),
        ("name.first=x", "'name' is a value, not a mapping"),
        ("options.coupling.hidden.7=1", "no entry '7'"),
        ("training.steps=[1", "not YAML"),
    ],
)
def test_a_set_that_cannot_be_carried_out_is_refused(entry: str, message: str) -> None:
    raw = {**TABLE, "options": {"coupling": {"hidden": [1, 2]}}}
    with pytest.raises(ConfigError, match=message) as caught:
        apply_sets(raw, [entry])
    assert caught.value.exit_code == 2
    assert caught.value.where.startswith("--set")


def test_an_error_of_a_set_says_which_set(recipe_file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file, ["training.batch_size=1024", "trainng.steps=5"])
    assert caught.value.what == "unknown key 'trainng'"
    assert caught.value.hint == "did you mean 'training'?"
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file, ["training.batch_size=many"])
    assert str(caught.value) == (
        "'training.batch_size' is 'many', it must be a whole number (--set training.batch_size=many)"
    )


def test_an_error_of_a_file_says_its_line(recipe_file: Path) -> None:
    recipe_file.write_text(recipe_file.read_text() + "  lerning_rate: 3\n")
    with pytest.raises(ConfigError) as caught:
        load_recipe(recipe_file)
    assert str(caught.value) == (
        f"unknown key 'training.lerning_rate' ({recipe_file}, line 12): did you mean 'learning_rate'?"
    )


@pytest.mark.parametrize(
    ("change", "what", "hint"),
    [
        ({"generator": "copling"}, "'generator' is 'copling', which is no generator family", "did you mean 'coupling'?"),
        ({"generator": "xyz"}, "'generator' is 'xyz', which is no generator family", "known: coupling, gan, matching, mean_flow"),
        (
            {"stages": {"columns": {"generator": "gann"}}},
            "'stages.columns.generator' is 'gann', which is no generator family",
            "did you mean 'gan'?",
        ),
        ({"options": {"couplin": {}}}, "unknown key 'options.couplin'", "did you mean 'coupling'?"),
        ({"options": {"gan": {"latnt": 3}}}, "unknown key 'options.gan.latnt'", "did you mean 'latent'?"),
        ({"options": {"coupling": {"bins": 1}}}, "'options.coupling.bins' is 1, it must be at least 2", ""),
        (
            {"training": {"precision": "fp61"}},
            "'training.precision' is 'fp61', it must be one of: auto, float32, bf16, fp16",
            "did you mean 'fp16'?",
        ),
        ({"training": {"ema": 1}}, "'training.ema' is 1, it must be below 1", ""),
        ({"training": {"clip": float("inf")}}, "'training.clip' is inf, it must be a finite number", ""),
        ({"training": {"compile": "maybe"}}, "'training.compile' is 'maybe', it must be true or false", ""),
        ({"training": None}, "'training' is empty, it must be a mapping of keys", ""),
        (
            {"training": {"steps": 10, "epochs": 2}},
            "'training': steps and epochs both say how long to train: give one of them",
            "",
        ),
        (
            {"split": {"validation": 0.9, "test": 0.5}},
            "'split': validation 0.9 and test 0.5 leave nothing to train on",
            "",
        ),
        ({"split": {"method": "kfold", "fold": 5}}, "'split': fold 5 of 5 does not exist: folds count from 0", ""),
        ({"representation": {"kind": "tabel"}}, "'representation.kind' is 'tabel', it must be one of: calorimeter, particle_cloud, table", "did you mean 'table'?"),
        ({"representation": {}}, "'representation' does not say its kind", "add kind: calorimeter or kind: particle_cloud or kind: table"),
        ({"representation": {"kind": "calorimeter"}}, "'representation.binning' is missing", "name the XML (of the CaloChallenge schema) or YAML of the voxels: binning: FILE"),
        ({"representation": {"kind": "calorimeter", "binning": 3}}, "'representation.binning' is 3, it must be text", ""),
        (
            {"representation": {"kind": "table", "columns": {"phi": {"kind": "integer", "period": 6.28}}}},
            "'representation.columns.phi': a period needs kind cyclic, not integer",
            "",
        ),
        (
            {"representation": {"kind": "table", "columns": {"phi": {"kind": "cyclic", "scale": "affine"}}}},
            "'representation.columns.phi': what is cyclic has no affine scale",
            "",
        ),
        ({"schema_version": 2}, "'schema_version' is 2, this hepgen reads 1", "the recipe is of another version of hepgen"),
        ({"data": {"given": ["met"]}}, "'data': 'given' columns need object mode: set 'objects', such as objects: Muon", ""),
        ({"data": {"columns": []}}, "'data.columns' is [], it must be a list of at least 1", ""),
        ({"stages": {"a": {"share": 0.7}, "b": {"share": 0.7}}}, "the shares of the stages add up to 1.4, which is more than 1", ""),
    ],
)  # fmt: skip
def test_errors_name_the_key_the_value_and_what_is_allowed(change: dict[str, object], what: str, hint: str) -> None:
    error = refused({**TABLE, **change})
    assert (error.what, error.hint) == (what, hint)


def test_of_several_errors_all_are_named() -> None:
    error = refused({**TABLE, "training": {"steps": 0, "batch_size": "x"}, "split": {"folds": 1}})
    assert error.what == "'split.folds' is 1, it must be at least 2"
    assert error.hint == "wrong as well: training.steps, training.batch_size"


def test_a_long_value_is_cut_in_the_message() -> None:
    assert len(refused({**TABLE, "training": {"steps": "x" * 500}}).what) < 150


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "this is not a recipe"),
        (b"- a\n- b\n", "this is not a recipe"),
        (b"name: [a\n", "this is not YAML"),
        (b"name: a\n\ttraining: b\n", "this is not YAML"),
        (b"name: a\nname: b\n", "the key 'name' stands twice"),
        (b"\x89HDF\r\n\x1a\n\xff\xfe", "this is not a text file"),
        (b"name: !!python/object/apply:os.system [ls]\n", "this is not YAML"),
    ],
)
def test_files_that_are_no_recipes(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_recipe(path)
    assert str(path) in caught.value.where


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the recipe: No such file"):
        load_recipe(tmp_path / "no.yaml")
    with pytest.raises(ConfigError, match="cannot read the recipe"):
        load_recipe(tmp_path)


def test_options_of_a_stage_win_over_those_of_the_recipe() -> None:
    recipe = parse_recipe(
        {
            **TABLE,
            "options": {"coupling": {"bins": 16, "layers": 4}, "gan": {"latent": 7}},
            "stages": {"columns": {"options": {"coupling": {"layers": 12}}}},
        }
    )
    options = recipe.options_of("columns")
    assert (options.bins, options.layers, options.bound) == (16, 12, FAMILIES["coupling"].options().bound)
    assert recipe.options_of("other").layers == 4


def test_options_survive_being_resolved_and_stored_as_json() -> None:
    recipe = parse_recipe(
        {
            **TABLE,
            "options": {"coupling": {"bins": 16}},
            "stages": {"columns": {"options": {"coupling": {"layers": 12}}}},
        }
    )
    stored = json.loads(json.dumps(recipe.resolved().model_dump(mode="json")))
    assert stored["options"]["coupling"]["dropout"] == 0.0, "a run stores the defaults it was made with"
    assert parse_recipe(stored).options_of("columns") == recipe.options_of("columns")


def test_training_of_a_stage_wins_and_replaces_the_other_length() -> None:
    recipe = parse_recipe(
        {**TABLE, "training": {"steps": 100, "clip": 1.0}, "stages": {"columns": {"training": {"epochs": 3}}}}
    )
    training = recipe.training_of("columns")
    assert (training.steps, training.epochs, training.clip) == (None, 3, 1.0)
    assert recipe.training_of("other") == recipe.training


def test_the_schema_describes_every_key() -> None:
    described = schema()
    assert "properties" in described
    for name, part in described["$defs"].items():
        for key, value in part.get("properties", {}).items():
            assert value.get("description"), f"{name}.{key} has no description"


def test_options_of_each_family_have_defaults_and_descriptions() -> None:
    for family in FAMILIES.values():
        family.options()
        module, _, name = family.path.partition(":")
        assert module.startswith("hepgen.generators.")
        assert name
        assert "\n" not in family.description


def test_split_set_keeps_equal_signs_of_the_value() -> None:
    assert split_set("data.cut=a == 3") == (("data", "cut"), "a == 3")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("1E4", 1e4), ("-.5", -0.5), ("3", 3), ("0x10", 16), ("no", "no"), ("on", "on"), ("12:30", "12:30"),
        ("1000:16000", "1000:16000"), ("2026-11-22", "2026-11-22"), ("", None), ("~", None), ("true", True), (".inf", float("inf")),
        ("010", "010"), ("1_000", "1_000"),
    ],
)  # fmt: skip
def test_scalars_mean_what_they_look_like(text: str, value: object) -> None:
    assert parse_yaml(text) == value
    assert type(parse_yaml(text)) is type(value)


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
plain = st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


@given(plain)
def test_what_is_written_is_read_back(value: object) -> None:
    assert parse_yaml(format_yaml(value)) == value


def test_importing_the_configuration_imports_nothing_heavy() -> None:
    code = (
        "import sys, hepgen.config.load, hepgen.config.families\n"
        "print([m for m in ('torch', 'uproot', 'awkward', 'matplotlib', 'h5py', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.strip() == "[]"
