from pathlib import Path

import pytest

from llmforge.config.base import identity_settings
from llmforge.config.load import load_settings, origin_of, to_yaml, walk
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError


def write(folder: Path, text: str, name: str = "c.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def refusal(file: Path | None, *sets: str) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(file, sets)
    return str(caught.value)


def test_later_layers_win_and_every_value_knows_its_origin(tmp_path: Path) -> None:
    write(tmp_path, "run: {name: base, seed: 1}\ntrain: {global_batch_tokens: 1024}\n", "base.yaml")
    file = write(tmp_path, "extends: base.yaml\nrun:\n  seed: 2\n")
    loaded = load_settings(file, ["run.seed=3"], {"train.strategy": ("--strategy", "ddp")})
    assert (loaded.settings.run.name, loaded.settings.run.seed) == ("base", 3)
    assert loaded.settings.train.strategy == "ddp"
    assert origin_of(("run", "name"), loaded.origins) == f"{tmp_path}/base.yaml:1:7"
    assert origin_of(("run", "seed"), loaded.origins) == "--set run.seed=3"
    assert origin_of(("train", "strategy"), loaded.origins) == "--strategy"
    assert origin_of(("run", "dir"), loaded.origins) == "default"


def test_a_list_replaces_a_list(tmp_path: Path) -> None:
    write(tmp_path, "curate: {sources: [{path: a}, {path: b}]}\n", "base.yaml")
    file = write(tmp_path, "extends: base.yaml\ncurate: {sources: [{path: c}]}\n")
    assert [source.path for source in load_settings(file).settings.curate.sources] == ["c"]


def test_set_reaches_into_lists_and_reads_yaml(tmp_path: Path) -> None:
    file = write(tmp_path, "curate: {sources: [{path: a}, {path: b}]}\n")
    settings = load_settings(file, ["curate.sources.1.weight=2", "curate.language.keep=[en, de]"]).settings
    assert [source.weight for source in settings.curate.sources] == [1.0, 2.0]
    assert settings.curate.language.keep == ("en", "de")
    assert "`curate.sources` has 2 items" in refusal(file, "curate.sources.2.weight=2")


def test_whole_numbers_may_be_written_with_an_exponent(tmp_path: Path) -> None:
    settings = load_settings(None, ["train.tokens=1e9", "train.optimizer.lr=3e-4"]).settings
    assert settings.train.tokens == 1_000_000_000
    assert settings.train.optimizer.lr == 3e-4
    assert "a whole number" in refusal(None, "train.global_batch_tokens=1.5")


def test_every_problem_is_told_at_once_in_reading_order_with_the_nearest_key(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "run: {seed: 1}\n\n\ndedup:\n  exact: true\n  minhash:\n    band: 14\n    verify_jaccard: 1.7\n"
        "train:\n  optimizer: {lr: .nan}\n  log_every_steps: -3\n  strategy: dpp\n",
    )
    lines = refusal(file).splitlines()
    assert lines[0] == (
        f"{file}:7:5: unknown key; got `dedup.minhash.band`, allowed bands, ngram_characters, "
        "ngram_tokens, ngram_words, rows, tokenizer, verify_containment, verify_jaccard"
    )
    assert lines[1] == "  hint: did you mean `bands`?"
    assert lines[2] == f"{file}:8:5: `dedup.minhash.verify_jaccard` does not fit; got 1.7, allowed at most 1.0"
    assert lines[3].startswith(f"{file}:10:15: `train.optimizer.lr` does not fit; got nan, allowed a finite number")
    assert lines[4] == f"{file}:11:3: `train.log_every_steps` does not fit; got -3, allowed at least 1"
    assert lines[5].startswith(f"{file}:12:3: `train.strategy` does not fit; got 'dpp', allowed ")
    assert lines[6] == "  hint: did you mean `ddp`?"


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        ("run.seed", "--set run.seed: expected a name, an equals sign and a value"),
        ("run.seed.deep=1", "`run.seed` is no section"),
        ("model.dim=true", "`model.dim` does not fit; got True, allowed a whole number"),
        ("run.seed='3'", "`run.seed` does not fit; got '3', allowed a whole number"),
        ("run.name=a/b", "`run.name` does not fit; got 'a/b', allowed text of the form"),
        (
            "traim.tokens=3",
            "unknown key; got `traim`, allowed curate, dedup, model, plan_scaling, run, tokenize, train",
        ),
        ("curate=3", "`curate` does not fit; got 3, allowed a section of keys"),
        (
            "curate.filters=[{rule: c4@paper, x: 1}]",
            "unknown key; got `curate.filters.0.x`, allowed max_word_length, min_sentences, min_words_per_line, rule",
        ),
        ("curate.sources=[{weight: 1}]", "`curate.sources.0.path` is missing"),
    ],
)
def test_one_problem(sets: str, says: str) -> None:
    assert says in refusal(None, *([sets] if sets != "run.seed.deep=1" else ["run.seed=1", sets]))


def test_rules_between_sections_name_legal_values() -> None:
    text = refusal(None, "model.dim=100", "model.heads=7")
    assert "`model.heads` does not divide `model.dim`; got 7 heads for a width of 100" in text
    assert "nearest that do: 4, 5, 10" in text
    names = refusal(None, "curate.sources=[{path: a, name: x}, {path: b, name: x}]")
    assert "two sources have the name 'x'" in names


def test_extends_goes_one_level_deep(tmp_path: Path) -> None:
    write(tmp_path, "run: {seed: 1}\n", "a.yaml")
    write(tmp_path, "extends: a.yaml\n", "b.yaml")
    assert "`extends` goes one level deep" in refusal(write(tmp_path, "extends: b.yaml\n"))
    assert "`extends` names one file" in refusal(write(tmp_path, "extends: [a.yaml]\n"))


def test_settings_survive_their_yaml(tmp_path: Path) -> None:
    settings = load_settings(
        None, ["curate.sources=[{path: a, limit: 3}]", "train.optimizer.eps=1e-8", "dedup.minhash=null"]
    ).settings
    assert load_settings(write(tmp_path, to_yaml(settings))).settings == settings


def test_no_file_means_the_one_here_or_defaults(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(None).settings == Settings()
    write(tmp_path, "run: {seed: 77}\n", "llmforge.yaml")
    assert load_settings(None).settings.run.seed == 77


def test_identity_leaves_out_defaults_places_and_workers() -> None:
    settings = load_settings(
        None,
        ["run.workers=2", "run.dir=elsewhere", "curate.sources=[{path: a, limit: 5}]", "curate.max_drop_share=0.5"],
    ).settings
    assert identity_settings(settings.run) == {}
    assert identity_settings(settings.curate) == {"sources": [{"limit": 5}], "max_drop_share": 0.5}


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("curate.language.keep=[english]", "'english' is no language that is told apart"),
        ("curate.language.keep=[EN]", "'EN' is no language"),
        ("curate.filters=[{rule: bad_words@c4, words: []}]", "at least 1 item"),
    ],
)
def test_values_that_would_drop_everything_are_refused(setting: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        load_settings(None, [setting])


def test_every_setting_is_described_and_its_default_is_valid() -> None:
    paths = [path for path, _ in walk(Settings())]
    assert len(paths) <= 130
    for path in paths:
        model = Settings
        for part in path[:-1]:
            annotation = model.model_fields[part].annotation
            model = next(
                kind for kind in getattr(annotation, "__args__", (annotation,)) if hasattr(kind, "model_fields")
            )
        assert model.model_fields[path[-1]].description, path
