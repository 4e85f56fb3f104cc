"""What every section of the settings shares: frozen, strict, no unknown key, no NaN; and what execution means."""

import typing
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _whole_floats_are_whole(cls, values: Any) -> Any:
        """Let `1e9` stand for a whole number where one is asked for: YAML reads it as a float."""
        if not isinstance(values, dict):
            return values
        return {name: _whole(value) if cls._wants_int(name) else value for name, value in values.items()}

    @classmethod
    def _wants_int(cls, name: str) -> bool:
        field = cls.model_fields.get(name)
        kinds = {field.annotation, *typing.get_args(field.annotation)} if field else set()
        return int in kinds and float not in kinds


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def execution(default: Any, **constraints: Any) -> Any:
    """A field that says how or where to work, not what comes out: recorded, but not part of the fingerprint."""
    return Field(default, json_schema_extra={"execution": True}, **constraints)


def identity_settings(section: BaseModel) -> dict[str, Any]:
    """The values of a section that decide output bytes: not the defaults, and nothing marked as execution."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        value = getattr(section, name)
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        if (isinstance(extra, dict) and extra.get("execution")) or (not field.is_required() and value == default):
            continue
        plain = _plain(value)
        if plain == {} and isinstance(default, BaseModel):
            continue  # a section that differs from its default in execution only
        values[name] = plain
    return values


def _plain(value: Any) -> Any:
    """A setting as JSON values."""
    if isinstance(value, BaseModel):
        return identity_settings(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
