"""SentencePiece: training by its own library, and its models as tokenizers of the `tokenizers` library.

A `.model` file is a protocol-buffer message, of which the few fields that matter are read here:

    ModelProto      1 pieces (1 piece, 2 score, 3 type)   2 trainer_spec   3 normalizer_spec
    trainer_spec    3 model_type (1 unigram, 2 bpe)   35 byte_fallback
    normalizer_spec 2 precompiled_charsmap   3 add_dummy_prefix   4 remove_extra_whitespaces

Source: sentencepiece_model.proto of google/sentencepiece.
"""

import io
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers

from llmforge.core.errors import InputError, MachineError

SPACE = "\u2581"
_NORMAL, _UNKNOWN, _USER_DEFINED = 1, 2, 4
# Control and byte pieces stand for no text; at this score they lose to every other way of writing theirs.
_NEVER = -1e5
# Sums of scores that are multiples of this are exact in 32 and in 64 bits: ties are broken alike by both libraries.
_SCORE_UNIT = 2.0**-8
# Sums of likelihoods depend on how many threads share them: a fixed number, whatever the machine has.
_TRAINER_THREADS = 2
_SENTENCE_CHARS = 4000  # the BPE trainer counts places in a sentence in 16 bits


@dataclass(frozen=True)
class SentencePieceModel:
    """What a `.model` file says: pieces as (piece, score, type), and how text is normalised before."""

    kind: str
    pieces: list[tuple[str, float, int]]
    byte_fallback: bool
    charsmap: bytes
    add_dummy_prefix: bool
    remove_extra_whitespaces: bool


def train_sentencepiece(kind: str, vocab_size: int, split_digits: bool, texts: Iterable[list[str]]) -> bytes:
    """Train with the SentencePiece library, without any normalisation, and with bytes for rare characters.

    Its trainer keeps the whole training text in memory, and gives the same model in every process.
    Scores are rounded to 1/256.

    Args:
        kind: bpe or unigram.
        vocab_size: tokens (count); fewer where the text does not hold as many.
        split_digits: each digit is a piece of its own.
        texts: batches of text.
    Returns: the content of a `.model` file.
    Raises: MachineError if the library is not installed; InputError if it cannot train on this text.
    """
    try:
        import sentencepiece
    except ImportError as error:
        raise MachineError(
            f"SentencePiece is not installed ({error})", 'install it: pip install "llmforge[sentencepiece]"'
        ) from error
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=_sentences(texts),
            model_writer=model,
            model_type=kind,
            vocab_size=vocab_size,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            add_dummy_prefix=False,
            byte_fallback=True,
            allow_whitespace_only_pieces=True,  # without it every blank of an indentation is a token
            split_digits=split_digits,
            max_sentence_length=1 << 20,  # the default skips longer sentences
            hard_vocab_limit=False,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            num_threads=_TRAINER_THREADS,
            minloglevel=2,
        )
    except (RuntimeError, ValueError) as error:
        raise InputError(f"SentencePiece cannot train on this text: {error}") from error
    return _round_scores(model.getvalue())


def _sentences(texts: Iterable[list[str]]) -> Iterator[str]:
    """Pieces of text short enough for the trainer, cut after line ends where there are any."""
    for batch in texts:
        for text in batch:
            for line in text.splitlines(keepends=True):
                for start in range(0, len(line), _SENTENCE_CHARS):
                    yield line[start : start + _SENTENCE_CHARS]


def convert(model: SentencePieceModel) -> Tokenizer:
    """The model as a tokenizer of the `tokenizers` library that gives the same ids.

    Raises: InputError if it is neither a unigram nor a BPE model.
    """
    if model.kind == "unigram":
        in_text = (_NORMAL, _USER_DEFINED)
        scored = [(piece, score if type_ in in_text else _NEVER) for piece, score, type_ in model.pieces]
        unknown = next((place for place, (_, _, type_) in enumerate(model.pieces) if type_ == _UNKNOWN), None)
        tokenizer = Tokenizer(models.Unigram(scored, unknown, model.byte_fallback))
    elif model.kind == "bpe":
        tokenizer = Tokenizer(_bpe(model))
    else:
        raise InputError(f"a SentencePiece model of type {model.kind!r}", "unigram and bpe can be used")
    tokenizer.normalizer = normalizers.Sequence(_normalizers(model))
    steps: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if model.add_dummy_prefix:
        steps.append(decoders.Strip(" ", 1, 0))
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _normalizers(model: SentencePieceModel) -> list[Any]:
    steps: list[Any] = []
    if model.charsmap:
        steps.append(normalizers.Precompiled(model.charsmap))
    if model.remove_extra_whitespaces:
        steps += [normalizers.Strip(True, True), normalizers.Replace(Regex(" {2,}"), " ")]
    if model.add_dummy_prefix:
        steps.append(normalizers.Prepend(" "))
    return [*steps, normalizers.Replace(" ", SPACE)]


def _bpe(model: SentencePieceModel) -> models.BPE:
    """SentencePiece keeps scores, not merges: a pair is merged where the joined piece is in the vocabulary."""
    vocabulary = {piece: place for place, (piece, _, _) in enumerate(model.pieces)}
    normal = {piece: score for piece, score, type_ in model.pieces if type_ == _NORMAL}
    merges = []
    for piece, score in normal.items():
        for cut in range(1, len(piece)):
            left, right = piece[:cut], piece[cut:]
            if left in normal and right in normal:
                merges.append((-score, vocabulary[left], vocabulary[right], left, right))
    unknown = next((piece for piece, _, type_ in model.pieces if type_ == _UNKNOWN), None)
    return models.BPE(
        vocabulary,
        [(left, right) for *_, left, right in sorted(merges)],
        unk_token=unknown,
        fuse_unk=True,
        byte_fallback=model.byte_fallback,
    )


def parse_model(data: bytes) -> SentencePieceModel:
    """Read a `.model` file.

    Raises: InputError if the bytes are no such message, or hold no piece.
    """
    try:
        fields = list(_fields(data))
        pieces = [_piece(value) for number, value in fields if number == 1]
        trainer = dict(_fields(next((value for number, value in fields if number == 2), b"")))
        normalizer = dict(_fields(next((value for number, value in fields if number == 3), b"")))
    except (IndexError, ValueError, TypeError, struct.error) as error:
        raise InputError(f"not a SentencePiece model ({error})", "the file is damaged, or something else") from error
    if not pieces:
        raise InputError("not a SentencePiece model (no pieces)", "the file is damaged, or something else")
    kinds = {1: "unigram", 2: "bpe", 3: "word", 4: "char"}
    return SentencePieceModel(
        kinds.get(trainer.get(3, 1), "unknown"),
        pieces,
        bool(trainer.get(35, 0)),
        normalizer.get(2, b""),
        bool(normalizer.get(3, 1)),
        bool(normalizer.get(4, 1)),
    )


def _round_scores(data: bytes) -> bytes:
    """The model with every score rounded; all else stays as it is."""
    model = bytearray(data)
    place = 0
    while place < len(data):
        start = place
        number, value, place = _field(data, place)
        if number != 1:
            continue
        piece, score, _ = _piece(value)
        (old, new) = (struct.pack("<Bf", 0x15, number) for number in (score, round(score / _SCORE_UNIT) * _SCORE_UNIT))
        at = data.index(old, start + len(piece.encode()), place)
        model[at : at + len(old)] = new
    return bytes(model)


def _piece(data: bytes) -> tuple[str, float, int]:
    fields = dict(_fields(data))
    (score,) = struct.unpack("<f", fields.get(2, b"\0\0\0\0"))
    return fields[1].decode() if 1 in fields else "", score, fields.get(3, _NORMAL)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Fields of a protocol-buffer message: (number, integer or bytes)."""
    place = 0
    while place < len(data):
        number, value, place = _field(data, place)
        yield number, value


def _field(data: bytes, place: int) -> tuple[int, Any, int]:
    """The field that begins at `place`: its number, its value, and where the next one begins."""
    key, place = _varint(data, place)
    number, wire = key >> 3, key & 7
    if wire == 0:
        value, place = _varint(data, place)
        return number, value, place
    if wire == 2:
        length, place = _varint(data, place)
    else:
        length = {1: 8, 5: 4}.get(wire, len(data))
    if place + length > len(data):
        raise ValueError(f"field {number} of wire type {wire} is cut short at byte {place}")
    return number, data[place : place + length], place + length


def _varint(data: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if byte < 0x80:
            return value, place
