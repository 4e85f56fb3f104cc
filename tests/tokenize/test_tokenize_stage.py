"""The tokenize stage: accounts, the validation split, the store's content, and equal bytes."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from llmforge.config.schema import Settings
from llmforge.core.documents import Document
from llmforge.core.errors import InputError, SettingsError
from llmforge.core.files import read_json
from llmforge.core.shards import read_objects, shard_writer
from llmforge.pipeline.build import BuildOptions, Built, build_stage
from llmforge.pipeline.manifest import Manifest, write_manifest
from llmforge.pipeline.records import describe
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.survey import choose_moved
from llmforge.tokenize.token_store import SPLITS, TokenStore
from llmforge.tokenize.tokenizer import EOS_TOKEN, load_tokenizer
from llmforge.tokenize.training import sampling_rates

Tokenize = Callable[..., Built]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of an artifact but the manifest, which holds times."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "manifest.json"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def stored_texts(folder: Path) -> dict[str, str]:
    """Text of every document in the store by its id, decoded from its tokens."""
    tokenizer, texts = load_tokenizer(folder), {}
    for split in SPLITS:
        store = TokenStore.open(folder, split)
        for number, shard in enumerate(store.shards):
            for span in store.documents(number, 0, shard.num_tokens):
                tokens = store.read(number, span.first_token, span.num_tokens)
                assert tokens[-1] == store.eos_id
                texts[span.id] = tokenizer.decode(tokens[:-1])
                assert len(texts[span.id].encode()) == span.num_bytes
    return texts


def test_every_document_is_in_the_store_and_decodes_to_its_text(
    corpus: Path, tokenize: Tokenize, documents: list[Document]
) -> None:
    built = tokenize(corpus)
    assert stored_texts(built.folder) == {document.id: document.text for document in documents if document.text}
    flow = built.manifest.account.total.documents
    assert (flow.came_in, flow.kept, dict(flow.dropped)) == (121, 120, {"no_text": 1})


def test_shards_hold_one_source_and_totals_agree(corpus: Path, tokenize: Tokenize, documents: list[Document]) -> None:
    built = tokenize(corpus)
    counted = built.manifest.account.measures
    for split in SPLITS:
        store = TokenStore.open(built.folder, split)
        assert store.num_tokens == counted[f"{split}_tokens"] == built.manifest.results["store"][split]["num_tokens"]
        for number, shard in enumerate(store.shards):
            spans = store.documents(number, 0, shard.num_tokens)
            assert {span.source for span in spans} == {shard.source}
            assert len(spans) == shard.num_documents
            assert sum(span.num_bytes for span in spans) == shard.num_bytes
    urls = {document.id: document.url for document in documents}
    store = TokenStore.open(built.folder, "train")
    assert all(urls[span.id] == span.url for span in store.documents(0, 0, store.shards[0].num_tokens))
    card = read_json(built.folder / "tokenizer_card.json")
    assert set(card["store"]["by_source"]) == {"web", "books"}
    assert card["store"]["by_source"]["web"]["bytes_per_token"] > 1
    assert card["eos_id"] == store.eos_id == store.vocab_size - 1


def test_no_component_is_on_both_sides(corpus: Path, tokenize: Tokenize, documents: list[Document]) -> None:
    folder = tokenize(corpus).folder
    component = {document.id: document.meta["dedup"]["component"] for document in documents if document.text}
    sides: dict[str, set[str]] = {}
    for split in SPLITS:
        for path in (folder / split).glob("*.docs.jsonl.zst"):
            for line in read_objects(path):
                sides.setdefault(component[line["id"]], set()).add(split)
    assert {len(found) for found in sides.values()} == {1}
    assert set().union(*sides.values()) == {"train", "val"}


def test_validation_text_does_not_reach_the_tokenizer(tmp_path: Path, tokenize: Tokenize) -> None:
    rare = "zyzzyva" * 3
    rows = [{"text": f"{'quixotic' if place % 2 else 'plain'} words {place} {rare}"} for place in range(40)]
    before = tokenize(_write(tmp_path / "a.jsonl", rows), name="before")
    val_ids = {
        span.id
        for number, shard in enumerate(TokenStore.open(before.folder, "val").shards)
        for span in TokenStore.open(before.folder, "val").documents(number, 0, shard.num_tokens)
    }
    own_lines = [
        Document(span_id, text + (" xylophone" * 50 if span_id in val_ids else ""), "s").to_json()
        for span_id, text in stored_texts(before.folder).items()
    ]
    changed = tmp_path / "b.jsonl"
    changed.write_bytes(b"\n".join(own_lines) + b"\n")
    after = tokenize(changed, name="after")
    first, second = ((built.folder / "tokenizer.json").read_bytes() for built in (before, after))
    assert val_ids
    assert first == second


def test_one_and_two_workers_give_the_same_bytes(corpus: Path, tokenize: Tokenize) -> None:
    assert contents(tokenize(corpus, 1, "one").folder) == contents(tokenize(corpus, 2, "two").folder)


def test_the_order_of_files_does_not_change_the_tokenizer(
    tmp_path: Path, corpus: Path, tokenize: Tokenize, documents: list[Document]
) -> None:
    backwards = tmp_path / "backwards.jsonl"
    backwards.write_bytes(b"".join(document.to_json() + b"\n" for document in reversed(documents)))
    for limit in (10**9, 4000):
        first = tokenize(corpus, name=f"first-{limit}", max_train_bytes=limit).folder / "tokenizer.json"
        second = tokenize(backwards, name=f"second-{limit}", max_train_bytes=limit).folder / "tokenizer.json"
        assert first.read_bytes() == second.read_bytes()


def test_a_large_corpus_is_sampled(corpus: Path, tokenize: Tokenize) -> None:
    facts = tokenize(corpus, max_train_bytes=8000).manifest.results["tokenizer"]
    assert all(0 < rate < 1 for rate in facts["sampling_rates"].values())
    assert 4000 < sum(facts["train_bytes"].values()) < 12000


def test_weights_say_how_densely_a_source_is_sampled(corpus: Path, tokenize: Tokenize) -> None:
    facts = tokenize(corpus, train_weights={"web": 0.25}).manifest.results["tokenizer"]
    assert facts["sampling_rates"] == {"books": 1.0, "web": 0.25}
    assert 0.1 < facts["train_bytes"]["web"] / facts["train_bytes"]["books"] < 0.4
    with pytest.raises(SettingsError, match=r"train_weights names 'wed', but the sources are books, web"):
        tokenize(corpus, name="wrong", train_weights={"wed": 2.0})


def test_the_densest_source_is_taken_whole_where_it_fits() -> None:
    sizes = {"a": 1000, "b": 3000}
    assert sampling_rates(sizes, {}, 10**6) == {"a": 1.0, "b": 1.0}
    assert sampling_rates(sizes, {"a": 4.0}, 10**6) == {"a": 1.0, "b": 0.25}
    rates = sampling_rates(sizes, {"a": 4.0}, 700)
    assert sum(rates[source] * size for source, size in sizes.items()) == pytest.approx(700)
    assert rates["a"] == 4 * rates["b"]


def test_the_dedup_artifact_is_read(tmp_path: Path, tokenize: Tokenize, documents: list[Document]) -> None:
    folder = tmp_path / "run" / "dedup"
    with shard_writer(folder / "data" / "00000.jsonl.zst") as writer:
        for document in documents:
            writer.write(document)
    write_manifest(folder, _dedup_manifest(folder))
    built = tokenize(None)
    assert len(stored_texts(built.folder)) == 120
    assert built.manifest.identity["inputs"]["stage dedup"]["fingerprint"] == "f" * 64


def test_without_a_dedup_artifact_the_stage_says_what_to_do(tokenize: Tokenize) -> None:
    with pytest.raises(InputError, match="llmforge dedup"):
        tokenize(None)


@pytest.mark.parametrize(
    ("rows", "message"), [([{"text": ""}], "no text to tokenize"), ([{"text": "alone"}], "only one document")]
)
def test_a_corpus_that_cannot_be_split_is_refused(
    tmp_path: Path, tokenize: Tokenize, rows: list[dict[str, str]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        tokenize(_write(tmp_path / "tiny.jsonl", rows))


def test_two_documents_are_enough_for_both_sides(tmp_path: Path, tokenize: Tokenize) -> None:
    built = tokenize(_write(tmp_path / "tiny.jsonl", [{"text": "one"}, {"text": "two"}]), val_fraction=0.0001)
    assert [TokenStore.open(built.folder, split).num_documents for split in SPLITS] == [1, 1]
    assert "validation holds" in built.manifest.warnings[-1]


def test_the_component_nearest_to_the_limit_changes_sides() -> None:
    extremes = {(0.3, "low"), (0.8, "high")}
    assert choose_moved(extremes, 0.1) == "low"
    assert choose_moved(extremes, 0.9) == "high"
    assert choose_moved(extremes, 0.5) is None


def test_a_small_corpus_gives_a_small_vocabulary_and_says_so(corpus: Path, tokenize: Tokenize) -> None:
    built = tokenize(corpus, vocab_size=50_000)
    size = TokenStore.open(built.folder, "train").vocab_size
    assert 257 < size < 5000
    assert f"the vocabulary has {size:,} tokens, not the 50,000 asked for" in built.manifest.warnings[0]
    assert "that occur 2 times (tokenize.min_frequency)" in built.manifest.warnings[0]
    assert built.manifest.results["tokenizer"]["vocab_size"] == size


def test_a_small_vocabulary_is_not_blamed_on_a_setting_that_the_kind_has_no_use_for(
    corpus: Path, tokenize: Tokenize
) -> None:
    (warning, *_) = tokenize(corpus, vocab_size=5000, algorithm="char").manifest.warnings
    assert warning.endswith("bytes of training text hold no more")


def test_bad_records_are_quarantined_and_counted(tmp_path: Path, corpus: Path, tokenize: Tokenize) -> None:
    with open(corpus / "part1.jsonl", "ab") as file:
        file.write(b'{"text": "cut\n{"text": "\\ud800"}\n')
    with pytest.raises(InputError, match="2 of 2 records are bad"):
        tokenize(corpus, name="strict")
    built = tokenize(corpus, name="lenient", max_bad_fraction=1.0)
    found = list(read_objects(built.folder / "quarantine" / "00001.jsonl.zst"))
    assert [line["error"] for line in found] == ["bad_json", "lone_surrogate"]
    assert found[0]["locator"] == "part1.jsonl"
    assert built.manifest.account.total.documents.num_quarantined == 2


def test_special_tokens_in_the_text_stay_text(tmp_path: Path, tokenize: Tokenize) -> None:
    rows = [{"text": f"a {EOS_TOKEN} b {place}"} for place in range(20)]
    folder = tokenize(_write(tmp_path / "a.jsonl", rows)).folder
    assert sorted(stored_texts(folder).values()) == sorted(row["text"] for row in rows)
    store = TokenStore.open(folder, "train")
    assert np.count_nonzero(store.read(0, 0, store.num_tokens) == store.eos_id) == store.num_documents


def test_a_resumed_stage_gives_the_same_bytes(
    corpus: Path, tokenize: Tokenize, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tokenize(corpus, name="whole")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("llmforge.tokenize.encode.ShardEncoding._note_totals", stop)
        with pytest.raises(KeyboardInterrupt):
            tokenize(corpus, name="cut")
    resumed = tokenize(corpus, name="cut")
    assert resumed.status == "resumed"
    assert contents(resumed.folder) == contents(whole.folder)


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _dedup_manifest(folder: Path) -> Manifest:
    return Manifest(
        stage="dedup", stage_version=1, llmforge_version="0", started="", finished="", settings={},
        fingerprint="f" * 64, identity={}, execution={}, inputs={},
        outputs=[describe(folder, folder / "data" / "00000.jsonl.zst")],
        counts={}, results={}, seed=0, environment={}, wall_s=0, sessions=1, peak_rss_bytes=0, warnings=[],
    )  # fmt: skip


def test_an_automatic_vocabulary_follows_the_model_and_is_part_of_the_identity(
    tmp_path: Path, corpus: Path, tokenize: Tokenize, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        built = tokenize(corpus, vocab_size="auto", algorithm="word_punctuation", min_frequency=1)
    facts = built.manifest.results["tokenizer"]
    assert facts["asked_vocab_size"] == 512  # 120 short documents: the smallest there is
    assert "tokenize.vocab_size: 512, because for 1.84e+04 training tokens" in caplog.text
    assert built.manifest.identity["inputs"]["settings of plan_scaling"]["budget_flops"] is None
    model = {"preset": "gpt2-nano"}
    section = {"vocab_size": "auto", "data": str(corpus), "val_fraction": 0.2, "min_frequency": 1}
    settings = Settings.model_validate(
        {"run": {"dir": str(tmp_path), "name": "run"}, "model": model, "tokenize": section}
    )
    with pytest.raises(InputError, match="settings of model"):
        build_stage(TOKENIZE, settings, tmp_path / "run", BuildOptions())
