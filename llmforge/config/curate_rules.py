"""`curate.filters`: the rules that judge a text, each a section of limits; `rule` says which one it is.

A rule's name holds its variant where the published implementations differ (`gopher_repetition@dclm`); its
defaults are the published limits.
"""

from typing import Annotated

from pydantic import Field

from llmforge.config.filters import code, evaluation, general, prose, web

RuleSection = Annotated[
    prose.GopherQualitySection
    | prose.GopherRepetitionSection
    | prose.C4PaperSection
    | prose.C4CodeSection
    | prose.Mc4Section
    | prose.FinewebPaperSection
    | prose.FinewebCodeSection
    | prose.QualityScoresSection
    | web.UrlListsSection
    | web.UrlsInTextSection
    | web.RefinedwebLinesSection
    | web.BadWordsSection
    | web.FlaggedWordsSection
    | code.StackV1Section
    | code.StackV2Section
    | code.LicenseSection
    | code.MathpileSection
    | general.RepairTextSection
    | general.NormalizeTextSection
    | general.PiiSection
    | general.SecretsSection
    | general.ClassifierSection
    | evaluation.DecontaminateSection,
    Field(discriminator="rule"),
]
