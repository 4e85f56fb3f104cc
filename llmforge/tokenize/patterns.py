r"""Regular expressions that cut text into the pieces that tokens cannot cross.

Alternatives are tried in order; leading blanks belong to the piece that follows. Possessive ranges such as
`\p{N}{1,3}+` are left out: the Oniguruma engine of `tokenizers` reads them as "one or more times 1 to 3".
"""

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

_WORD = r"[\p{L}\p{M}]+"
_TITLES = "Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|Gen|Col|Capt|Lt|Sgt|Rev|Sen|Gov"
_OTHERS = "vs|etc|cf|Inc|Ltd|Co|Fig|al|Jan|Feb|Apr|Aug|Sept?|Oct|Nov|Dec|approx"
# Source: the Penn Treebank's conventions for contractions; abbreviations, numbers and addresses stay whole.
WORD_RULES = "|".join(
    (
        r"(?:https?://|www\.)[^\s<>\"]*[^\s<>\".,;:!?)\]}']",  # web addresses, without the sentence's full stop
        # Mail addresses. Source: RFC 5321, section 4.5.3.1.1: 64 characters before the sign, so that a megabyte of
        # dots and letters is not searched for a sign from each of its words.
        r"[\w.+-]{1,64}@[\w-]+(?:\.[\w-]+)+",
        r"(?:\p{L}\.){2,}",  # U.S., e.g.
        rf"Ph\.D\.|(?i:{_TITLES}|{_OTHERS})\.(?!\p{{L}})",
        # 1,234.56 and 12:30 and 2024-05-01, and 50% and 6.02e23 and 3rd and 1990s
        r"\p{N}+(?:[.,:/-]\p{N}+)*(?:%|(?i:e[+-]?\p{N}+|st|nd|rd|th|s)(?![\p{L}\p{N}]))?",
        r"(?i:n['’]t|['’](?:s|re|ve|ll|d|m))(?!\p{L})",  # the second half of a contraction
        rf"{_WORD}(?=(?i:n['’]t)(?!\p{{L}}))",  # its first half: do|n't
        # o'clock, well-known, COVID-19, H2O, v1.2.3
        rf"{_WORD}(?:['’](?!(?i:s|re|ve|ll|d|m|t)(?!\p{{L}})){_WORD}|-{_WORD}|-?\p{{N}}+(?:\.\p{{N}}+)*(?:{_WORD})?)*",
        r"\.{3}|--+",  # an ellipsis, a dash
        r"\S",
    )
)
