"""The comparison of kinds: scores that mean what they say, one sample for all, one table."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmforge.config.schema import Settings
from llmforge.config.tokenize import TokenizeSection
from llmforge.core.documents import Document
from llmforge.core.errors import InputError, MachineError
from llmforge.pipeline.stage import Context
from llmforge.tokenize.algorithms import train
from llmforge.tokenize.compare import compare, draw_samples
from llmforge.tokenize.compare_table import markdown
from llmforge.tokenize.scores import count_words, renyi_efficiency, score
from llmforge.tokenize.stage import TOKENIZE
from llmforge.tokenize.tokenizer import EOS_TOKEN, Tokenizer


def settings_for(tmp_path: Path, data: Path, **section: object) -> Settings:
    values = {"data": str(data), "vocab_size": 600, "val_fraction": 0.2, **section}
    model = {"layers": 2, "dim": 64, "heads": 2, "context": 64}
    return Settings.model_validate({"run": {"dir": str(tmp_path)}, "tokenize": values, "model": model})


def test_every_kind_is_trained_and_scored(tmp_path: Path, corpus: Path) -> None:
    rows = {row.algorithm: row for row in compare(settings_for(tmp_path, corpus), tmp_path).rows}
    assert len(rows) == 10
    for algorithm in ("bpe", "char_bpe", "byte", "char", "sentencepiece_bpe", "sentencepiece_unigram"):
        assert (rows[algorithm].scores.round_trip, rows[algorithm].scores.unknown_rate) == (1, 0)
    assert rows["word_space"].scores.round_trip == 0
    assert rows["word_space"].scores.unknown_rate > 0
    assert rows["byte"].scores.bytes_per_token == 1
    assert rows["bpe"].scores.bytes_per_token > rows["char"].scores.bytes_per_token > 1
    assert rows["byte"].corpus_tokens > 2 * rows["bpe"].corpus_tokens
    assert rows["byte"].embedding_share < rows["bpe"].embedding_share < 1
    assert set(rows["bpe"].scores.by_group) == {"web", "books"}
    lines = markdown(list(rows.values())).splitlines()
    assert len(lines) == 12
    assert lines[0].startswith("| algorithm | tokens | comes back | bytes/token")
    assert {line.count("|") for line in lines} == {15}


def test_kinds_that_cannot_be_trained_here_are_left_out(
    tmp_path: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    chosen = {"algorithms": ("sentencepiece_bpe", "char_bpe", "byte"), "vocab_sizes": (257,)}
    found = compare(settings_for(tmp_path, corpus, compare=chosen), tmp_path)
    assert [row.algorithm for row in found.rows] == ["byte"]
    assert "sentencepiece_bpe 257 is left out" in caplog.text
    assert "char_bpe 257 is left out" in caplog.text
    only = {"algorithms": ("sentencepiece_bpe",)}
    with pytest.raises(MachineError, match="sentencepiece"):
        compare(settings_for(tmp_path, corpus, compare=only), tmp_path)


def test_a_kind_that_this_text_cannot_train_does_not_end_the_comparison(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("sentencepiece")
    texts = ["".join(map(chr, range(0x4E00 + place * 40, 0x4E00 + place * 40 + 80))) for place in range(100)]
    path = tmp_path / "many-characters.jsonl"
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    chosen = {"algorithms": ("sentencepiece_unigram", "byte"), "vocab_sizes": (300,)}
    rows = compare(settings_for(tmp_path, path, compare=chosen), tmp_path).rows
    assert [row.algorithm for row in rows] == ["byte"]
    assert "sentencepiece_unigram 300 is left out: SentencePiece cannot train on this text" in caplog.text


def test_an_existing_tokenizer_is_scored_beside_the_others(tmp_path: Path, corpus: Path) -> None:
    chosen = {"compare": {"algorithms": ("bpe",), "vocab_sizes": (330,)}}
    alone = settings_for(tmp_path, corpus, **chosen)
    context = Context(tmp_path, alone, TOKENIZE.find_inputs(alone, tmp_path))
    section = alone.tokenize.sized(330)
    same = Tokenizer(train(section, draw_samples(context, section.compare.sample_bytes).train), EOS_TOKEN)
    same.save(tmp_path / "tokenizer.json", tmp_path / "tokenizer_config.json")
    beside = settings_for(tmp_path, corpus, tokenizer=str(tmp_path / "tokenizer.json"), **chosen)
    existing, trained = compare(beside, tmp_path).rows
    assert (existing.algorithm, trained.algorithm) == ("existing", "bpe")
    assert existing.scores.by_group == trained.scores.by_group
    assert (existing.vocab_size, existing.corpus_tokens) == (trained.vocab_size, trained.corpus_tokens)


def test_a_comparison_says_how_much_text_it_is_about(tmp_path: Path, corpus: Path, documents: list[Document]) -> None:
    found = compare(settings_for(tmp_path, corpus, compare={"algorithms": ("byte",)}), tmp_path)
    assert found.corpus_bytes == sum(document.num_bytes for document in documents)
    assert found.train_bytes + found.held_out_bytes == found.corpus_bytes  # all of it fits into the sample


def test_sizes_are_set_side_by_side(tmp_path: Path, corpus: Path) -> None:
    chosen = {"algorithms": ("bpe",), "vocab_sizes": (270, 330)}
    small, large = compare(settings_for(tmp_path, corpus, compare=chosen), tmp_path).rows
    assert (small.vocab_size, large.vocab_size) == (270, 330)
    assert small.scores.bytes_per_token < large.scores.bytes_per_token


def test_scores_of_a_text_that_can_be_counted_by_hand() -> None:
    section = TokenizeSection.model_validate({"algorithm": "word_space", "vocab_size": 257, "min_frequency": 1})
    tokenizer = Tokenizer(train(section, [["a bb a bb ccc"]]), EOS_TOKEN)  # [UNK] a bb ccc, and the end token
    found = score(tokenizer, {"one": ["a bb"], "two": ["a zz zz"]})
    assert (found.round_trip, found.unknown_rate) == (0.5, 2 / 5)
    assert (found.bytes_per_token, found.tokens_per_word) == (11 / 5, 1)
    assert found.by_group == {"one": 2, "two": 7 / 3}
    assert found.dead == 1 / 4  # ccc


BLANKS = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]


@given(st.text(st.sampled_from(["a", "é", "\0", "\x7f", "東", "😀", *BLANKS]), max_size=30))
def test_words_are_those_between_blanks_in_short_and_in_long_texts(text: str) -> None:
    for whole in (text, text * 500, f"{'word ' * 500}{text}"):
        assert count_words(whole) == len(whole.split())


@pytest.mark.parametrize("blank", BLANKS)
def test_every_blank_of_unicode_ends_a_word(blank: str) -> None:
    assert count_words(f"a{blank}" * 1000) == 1000


def test_renyi_efficiency_is_one_for_even_use_and_nothing_for_one_token() -> None:
    assert renyi_efficiency(np.full(64, 3)) == pytest.approx(1)
    assert renyi_efficiency(np.array([9, 0, 0, 0])) == pytest.approx(0)
    # sum p^2.5 of 3/4 and 1/4 is 0.518389; its log over -1.5 is 0.631919 bits of 1.
    assert renyi_efficiency(np.array([3, 1])) == pytest.approx(0.631919, abs=1e-5)


def test_samples_are_bounded_and_the_same_in_any_order(tmp_path: Path, documents: list[Document]) -> None:
    drawn = []
    for name, order in (("a", documents), ("b", documents[::-1])):
        path = tmp_path / f"{name}.jsonl"
        path.write_bytes(b"".join(document.to_json() + b"\n" for document in order))
        settings = settings_for(tmp_path, path)
        context = Context(tmp_path, settings, TOKENIZE.find_inputs(settings, tmp_path))
        drawn.append(draw_samples(context, 5000))
    assert drawn[0] == drawn[1]
    taken = sum(len(text.encode()) for slices in drawn[0].train for text in slices)
    assert 5000 <= taken < 5400
    assert drawn[0].corpus_bytes == sum(document.num_bytes for document in documents)


def test_a_corpus_without_held_out_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.jsonl"
    path.write_text('{"text": "alone"}\n')
    with pytest.raises(InputError, match="too few documents to compare"):
        compare(settings_for(tmp_path, path), tmp_path)
