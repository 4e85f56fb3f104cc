"""Rules on any text: repair, normalisation, personal data, secrets, and classifiers of the user's own."""

from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from llmforge.config.base import Section
from llmforge.config.filters.files import file_setting


class RepairTextSection(Section):
    """Broken character encodings mended by ftfy; nothing else of the text changes."""

    rule: Literal["repair_text"] = Field(..., description="the rule's name")


class NormalizeTextSection(Section):
    """One form for what looks the same: Unicode, line ends, control characters, space at line ends."""

    rule: Literal["normalize_text"] = Field(..., description="the rule's name")
    form: Literal["NFC", "NFKC"] = Field("NFC", description="Unicode's form; NFKC changes formulas, ligatures and more")


class PiiSection(Section):
    """E-mail addresses, public IP addresses and telephone numbers are masked."""

    rule: Literal["pii"] = Field(..., description="the rule's name")
    kinds: tuple[Literal["email", "ip", "phone"], ...] = Field(("email", "ip", "phone"), description="what to mask")
    max_found: int | None = Field(None, ge=0, description="drop documents that hold more; null: none; Dolma: 5")


class SecretsSection(Section):
    """Keys, tokens and passwords in code are masked."""

    rule: Literal["secrets"] = Field(..., description="the rule's name")


class ClassifierSection(Section):
    """A score by a fastText model or by any function, noted in the document; those below the limit are dropped.

    A function is given by an installed package's entry point of the group `llmforge.classifiers`, or as
    module:function; it takes the text and returns a float.
    """

    rule: Literal["classifier"] = Field(..., description="the rule's name")
    model: str | None = file_setting(None, "train one, or take a published one (DCLM's, say)", "a fastText model file")
    label: str | None = Field(None, description="the model's label whose probability is the score (__label__hq)")
    function: str | None = Field(None, description="an entry point's name, or module:function, in place of a model")
    min_score: float = Field(..., description="drop below")

    @model_validator(mode="after")
    def _names_one_scorer(self) -> "ClassifierSection":
        if (self.model is None) == (self.function is None):
            raise PydanticCustomError("one_scorer", "classifier needs either `model` or `function`, and not both")
        if (self.model is None) != (self.label is None):
            raise PydanticCustomError("label", "classifier needs `label` with a model, and without one has none")
        return self
