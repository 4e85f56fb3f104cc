"""How each kind of tokenizer is put together and trained.

    algorithm               pieces                                 lossless
    bpe                     byte pairs merged by frequency         yes
    char_bpe                character pairs; rare ones as bytes    yes
    byte                    the 256 bytes                          yes
    char                    characters; rare ones as bytes         yes
    sentencepiece_bpe       merged by frequency, blanks included   but for U+2581, the sign of a blank
    sentencepiece_unigram   kept by likelihood, blanks included    but for U+2581, the sign of a blank
    wordpiece               longest match within words             no
    word_space, word_punctuation, word_rule   whole words          no

Every one of them gives the same result for the same text in every process.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from llmforge.config.tokenize import TokenizeSection
from llmforge.core.errors import SettingsError
from llmforge.tokenize.patterns import SPLIT_PATTERNS, WORD_RULES
from llmforge.tokenize.sentencepiece import convert, parse_model, train_sentencepiece
from llmforge.tokenize.tokenizer import EOS_TOKEN, explained_panics
from llmforge.tokenize.vocabulary import byte_pieces, edit, without_added_tokens, without_words

Texts = Iterable[list[str]]
"""Batches of text; may be gone through more than once."""

UNKNOWN = "[UNK]"
_BYTE_PIECES = byte_pieces()
_WORDPIECE_CHARACTERS = 1000  # Source: Devlin et al. 2019, the alphabet of BERT's trainer.


def train(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """Train a tokenizer of the kind that the settings ask for; the last id is the end of a document.

    Args:
        settings: algorithm, vocabulary size (count, special tokens included), and what belongs to the algorithm.
        texts: streamed batches of text, never held as a whole; gone through twice where characters are chosen.
    Raises: SettingsError if the vocabulary is too small for the algorithm, or holds a control token as text.
    """
    with explained_panics(f"training the {settings.algorithm} tokenizer"):
        tokenizer = _TRAINERS[settings.algorithm](settings, texts)
    if settings.normalization != "none":
        form = normalizers.NFC() if settings.normalization == "nfc" else normalizers.NFKC()
        given = tokenizer.normalizer
        tokenizer.normalizer = normalizers.Sequence([form, given]) if given else form
    control = [*settings.special_tokens, EOS_TOKEN]
    if taken := [token for token in control if tokenizer.token_to_id(token) is not None]:
        raise SettingsError(
            f"tokenize.special_tokens: {taken[0]!r} is a piece of text in this vocabulary: it would be found in text",
            f"give it a name that no text has, such as <|{taken[0]}|>",
        )
    tokenizer.add_special_tokens(control)
    return tokenizer


def is_lossless(settings: TokenizeSection) -> bool:
    """Whether every text comes back exactly."""
    return settings.algorithm in ("bpe", "char_bpe", "byte", "char") and settings.normalization == "none"


def _train_bpe(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """Byte-level byte-pair encoding.

    Source: Sennrich et al. 2016 for the merges; Radford et al. 2019 for bytes as the alphabet.
    """
    _require(settings.num_pieces >= len(_BYTE_PIECES), settings, "bpe keeps 256 tokens for bytes")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = split_into_bytes(settings.split_pattern, settings.split_digits)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.num_pieces,
        min_frequency=settings.min_frequency,
        # All 256 bytes, seen or not: a byte outside the alphabet would vanish in encoding.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _train_char_bpe(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """Byte-pair encoding over characters; a character outside the alphabet is written as bytes."""
    room = settings.num_pieces - len(_BYTE_PIECES)
    _require(room >= 2, settings, "char_bpe keeps 256 tokens for bytes")
    # Half of the room at most is for characters, the rest for merges.
    alphabet = _frequent_characters(texts, room // 2)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(_splits(settings.split_pattern, settings.split_digits))
    trainer = trainers.BpeTrainer(
        vocab_size=room,
        min_frequency=settings.min_frequency,
        initial_alphabet=sorted(alphabet),
        limit_alphabet=len(alphabet),  # the library breaks ties among further characters by chance
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return _with_byte_fallback(tokenizer)


def _train_byte(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """No vocabulary to learn: one token a byte."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={char: place for place, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = split_into_bytes("gpt2")
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _train_char(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """One token for each frequent character; the others are written as bytes."""
    room = settings.num_pieces - len(_BYTE_PIECES)
    _require(room >= 1, settings, "char keeps 256 tokens for bytes")
    alphabet = sorted(_frequent_characters(texts, room))
    tokenizer = Tokenizer(models.BPE(vocab={char: place for place, char in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(_splits(settings.split_pattern, settings.split_digits))
    return _with_byte_fallback(tokenizer)


def _train_wordpiece(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """Pieces of words, merged by frequency and matched longest first.

    Source: Devlin et al. 2019. The merges are chosen as in BPE, not by likelihood as in Schuster and Nakajima 2012.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(strip_accents=False, lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(cleanup=False)
    alphabet = sorted(_frequent_characters(texts, min(_WORDPIECE_CHARACTERS, (settings.num_pieces - 1) // 3)))
    # Named beforehand, the continuing characters get fixed ids; the library would number them by chance.
    continuing = ["##" + char for char in alphabet]
    trainer = trainers.WordPieceTrainer(
        vocab_size=settings.num_pieces,
        min_frequency=settings.min_frequency,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        special_tokens=[UNKNOWN, *continuing],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return edit(tokenizer, without_added_tokens)


def _train_words(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """Whole words, the most frequent ones; every other word is unknown."""
    tokenizer = Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = _word_splitter(settings.algorithm)
    trainer = trainers.WordLevelTrainer(
        vocab_size=settings.num_pieces,
        min_frequency=settings.min_frequency,
        special_tokens=[UNKNOWN],
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    control = {*settings.special_tokens, EOS_TOKEN}
    return edit(edit(tokenizer, without_added_tokens), partial(without_words, control))


def _train_sentencepiece(settings: TokenizeSection, texts: Texts) -> Tokenizer:
    """Subwords that may begin with blanks, by frequency or by likelihood, through the SentencePiece library.

    Source: Kudo and Richardson 2018; for unigram Kudo 2018.
    """
    kind = settings.algorithm.removeprefix("sentencepiece_")
    return convert(parse_model(train_sentencepiece(kind, settings.num_pieces, settings.split_digits, texts)))


_TRAINERS = {
    "bpe": _train_bpe,
    "char_bpe": _train_char_bpe,
    "byte": _train_byte,
    "char": _train_char,
    "wordpiece": _train_wordpiece,
    "sentencepiece_bpe": _train_sentencepiece,
    "sentencepiece_unigram": _train_sentencepiece,
    "word_space": _train_words,
    "word_punctuation": _train_words,
    "word_rule": _train_words,
}


def split_into_bytes(split_pattern: str, split_digits: bool = False) -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of a byte-level tokenizer: pieces by a named pattern, each written as bytes."""
    if split_pattern == "gpt2" and not split_digits:
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # the same pattern, built in
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([*_splits(split_pattern, split_digits), as_bytes])


def _splits(split_pattern: str, split_digits: bool) -> list[pre_tokenizers.PreTokenizer]:
    digits = [pre_tokenizers.Digits(individual_digits=True)] if split_digits else []
    return [*digits, pre_tokenizers.Split(Regex(SPLIT_PATTERNS[split_pattern]), "isolated")]


def _word_splitter(algorithm: str) -> pre_tokenizers.PreTokenizer:
    if algorithm == "word_space":
        return pre_tokenizers.WhitespaceSplit()
    if algorithm == "word_punctuation":
        return pre_tokenizers.Whitespace()
    return pre_tokenizers.Split(Regex(WORD_RULES), "removed", invert=True)


def _frequent_characters(texts: Texts, limit: int) -> list[str]:
    """The most frequent characters; of two that are equally frequent, the lower code point."""
    counts = Counter[str]()
    for batch in texts:
        for text in batch:
            counts.update(text)
    return sorted(counts, key=lambda char: (-counts[char], char))[:limit]


def _with_byte_fallback(tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with a token for each byte, used where a character has no token of its own."""

    def add_bytes(value: dict) -> None:  # type: ignore[type-arg]
        vocabulary = value["model"]["vocab"]
        for piece in _BYTE_PIECES:
            vocabulary[piece] = len(vocabulary)
        value["model"]["byte_fallback"] = True

    complete = edit(tokenizer, add_bytes)
    complete.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return complete


def _require(is_enough: bool, settings: TokenizeSection, reason: str) -> None:
    if not is_enough:
        raise SettingsError(f"tokenize.vocab_size {settings.num_tokens} is too small: {reason}", "ask for more tokens")
