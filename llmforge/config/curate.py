"""`curate`: where text comes from, and which of it stays."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError, PydanticKnownError

from llmforge.config.base import Section, execution
from llmforge.config.curate_rules import RuleSection
from llmforge.config.filters.prose import GopherQualitySection
from llmforge.config.recipes import find_recipes, read_recipe

SourceType = Literal[
    "auto", "warc", "jsonl", "parquet", "csv", "text", "latex", "markdown", "code", "crowd_csv", "huggingface"
]
PresetName = Literal["refinedweb", "the_pile", "the_stack", "mathpile"]


LANGUAGES = frozenset(
    "af als am an ar arz as ast av az azb ba bar bcl be bg bh bn bo bpy br bs bxr ca cbk ce ceb ckb co cs cv cy "
    "da de diq dsb dty dv el eml en eo es et eu fa fi fr frr fy ga gd gl gn gom gu gv he hi hif hr hsb ht hu hy "
    "ia id ie ilo io is it ja jbo jv ka kk km kn ko krc ku kv kw ky la lb lez li lmo lo lrc lt lv mai mg mhr min "
    "mk ml mn mr mrj ms mt mwl my myv mzn nah nap nds ne new nl nn no oc or os pa pam pfl pl pms pnb ps pt qu rm "
    "ro ru rue sa sah sc scn sco sd sh si sk sl so sq sr su sv sw ta te tg th tk tl tr tt tyv ug uk ur uz vec vep "
    "vi vls vo wa war wuu xal xmf yi yo yue zh".split()
)
"""What lid.176 tells apart."""


class SourceSection(Section):
    """One source of text.

    `weight` acts on the order in which training draws samples; curate copies nothing.
    """

    path: str = execution(..., description="a file, a folder, a glob, a URL, or a Hugging Face data set (org/name)")
    type: SourceType = Field("auto", description="auto: by ending, and a folder by what it holds")
    name: str | None = Field(None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="null: from the path")
    weight: float = execution(1.0, gt=0, le=1000, description="2.0: training draws this source twice an epoch")
    limit: int | None = Field(None, ge=1, description="documents to take at most; the source is then one shard")
    column: str | None = Field(None, description="the column or key that holds the text; null: found by name")
    preset: PresetName | None = Field(None, description="a published data set's layout; null: by the source's name")
    approved_only: bool = Field(True, description="crowd_csv: false takes every assignment, approved or not")
    split: str = Field("train", description="huggingface: which split")
    subset: str | None = Field(None, description="huggingface: which configuration of the data set")
    revision: str | None = Field(None, description="huggingface: commit or tag; null: the newest, whatever it is")


class LanguageSection(Section):
    """Language identification of prose."""

    keep: tuple[str, ...] = Field((), description="ISO 639-1 codes to keep; empty: every language")
    min_score: float = Field(0.65, ge=0, le=1, description="drop below this confidence")

    @field_validator("keep")
    @classmethod
    def _are_told_apart(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [code for code in value if code not in LANGUAGES]:
            raise PydanticCustomError(
                "language", f"ISO 639-1 codes such as 'en'; {unknown[0]!r} is no language that is told apart"
            )
        return value


class ExtractSection(Section):
    """HTML to text."""

    engine: Literal["trafilatura", "resiliparse"] = Field(
        "trafilatura", description="trafilatura finds the main text best; resiliparse is many times faster"
    )
    max_html_bytes: int = Field(4_000_000, ge=1, description="a larger page is quarantined")
    max_html_depth: int = Field(512, ge=1, description="a page nested deeper is quarantined")
    max_html_tags: int = Field(200_000, ge=1, description="a page with more tags is quarantined")
    max_cpu_s: float = Field(20.0, gt=0, description="the last resort, after one retry alone")


class CurateSection(Section):
    """Sources, limits and rules."""

    sources: tuple[SourceSection, ...] = Field((), description="where text comes from")
    extract: ExtractSection = ExtractSection()
    language: LanguageSection = LanguageSection()
    recipe: str | None = Field(
        None, description="shipped rules (refinedweb, fineweb, c4, gopher, stack, mathpile) for `filters`"
    )
    filters: tuple[RuleSection, ...] = Field(
        (GopherQualitySection(rule="gopher_quality"),), description="rules in order, by name or with limits"
    )
    filters_drop: tuple[str, ...] = Field((), description="rules of the list to leave out, by name")
    filters_add: tuple[RuleSection, ...] = Field((), description="rules after those of the list")
    max_record_bytes: int = Field(8 * 2**20, ge=1024, description="a larger record is quarantined")
    max_bad_fraction: float = execution(0.001, ge=0, le=1, description="share of bad records that stops the stage")
    max_drop_share: float = Field(0.9, gt=0, le=1, description="a rule that drops more of one source is a warning")

    @property
    def rules(self) -> tuple[RuleSection, ...]:
        """The rules in force, in order: `filters` without `filters_drop`, then `filters_add`."""
        return tuple(rule for rule in self.filters if rule.rule not in self.filters_drop) + self.filters_add

    @model_validator(mode="before")
    @classmethod
    def _recipe_is_filters(cls, values: Any) -> Any:
        """Write what a recipe sets where the settings do not, so that they hold what is in force."""
        recipe = values.get("recipe") if isinstance(values, dict) else None
        if isinstance(recipe, str) and recipe in find_recipes():
            return {**read_recipe(recipe), **values}
        return values

    @field_validator("recipe")
    @classmethod
    def _recipe_is_shipped(cls, value: str | None) -> str | None:
        if value is not None and value not in find_recipes():
            names = ", ".join(f"'{name}'" for name in find_recipes())
            raise PydanticKnownError("literal_error", {"expected": names})
        return value

    @field_validator("filters", "filters_add", mode="before")
    @classmethod
    def _names_are_rules(cls, value: Any) -> Any:
        """Let a bare name stand for a rule with its published limits."""
        if isinstance(value, list | tuple):
            return tuple({"rule": item} if isinstance(item, str) else item for item in value)
        return value
