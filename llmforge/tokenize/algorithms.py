"""How each kind of tokenizer is put together and trained."""

from collections.abc import Iterable

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from llmforge.config.tokenize import TokenizeSection
from llmforge.tokenize.tokenizer import EOS_TOKEN, explained_panics

# Alternatives are tried in order; leading blanks belong to the piece that follows. Possessive ranges such as
# {1,3}+ are left out: the Oniguruma engine of `tokenizers` reads them as "one or more times 1 to 3".
SPLIT_PATTERNS = {
    # Source: Radford et al. 2019, the GPT-2 encoder.
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    # Source: tiktoken, cl100k_base; `\z` because `$` is the end of a line in Oniguruma.
    "gpt4": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s+\z|\s*[\r\n]|\s+(?!\S)|\s",
    # Source: Dubey et al. 2024, the tokenizer that was released with Llama 3.
    "llama3": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+",
}


def train(settings: TokenizeSection, texts: Iterable[list[str]]) -> Tokenizer:
    """Train a tokenizer of the kind that the settings ask for, with the end-of-document token as its last id.

    Args:
        settings: algorithm, vocabulary size (count, special tokens included), and what belongs to the algorithm.
        texts: a stream of batches of text; read once, never held as a whole.
    """
    with explained_panics(f"training the {settings.algorithm} tokenizer"):
        tokenizer = _train_byte_bpe(settings, texts)
    tokenizer.add_special_tokens([EOS_TOKEN])
    return tokenizer


def _train_byte_bpe(settings: TokenizeSection, texts: Iterable[list[str]]) -> Tokenizer:
    """Byte-level byte-pair encoding: lossless, and the same result for the same text in every process.

    Source: Sennrich et al. 2016 for the merges; Radford et al. 2019 for bytes as the alphabet.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = _byte_pieces(settings.split_pattern)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=settings.vocab_size - 1,  # the end-of-document token comes last
        min_frequency=settings.min_frequency,
        # All 256 bytes, seen or not: a byte outside the alphabet would vanish in encoding.
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _byte_pieces(split_pattern: str) -> pre_tokenizers.PreTokenizer:
    if split_pattern == "gpt2":
        return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)  # the same pattern, built in
    split = pre_tokenizers.Split(Regex(SPLIT_PATTERNS[split_pattern]), "isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
