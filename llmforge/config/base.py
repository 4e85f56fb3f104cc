"""What every section of the settings shares: frozen, strict, no unknown key, no NaN; and what execution means."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """A section of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


def execution(default: Any, **constraints: Any) -> Any:
    """A field that says how or where to work, not what comes out: recorded, but not part of the fingerprint."""
    return Field(default, json_schema_extra={"execution": True}, **constraints)


def identity_settings(section: BaseModel) -> dict[str, Any]:
    """The values of a section that decide output bytes: not the defaults, and nothing marked as execution."""
    values: dict[str, Any] = {}
    for name, field in type(section).model_fields.items():
        extra = field.json_schema_extra
        value = getattr(section, name)
        if (isinstance(extra, dict) and extra.get("execution")) or (
            not field.is_required() and value == field.get_default(call_default_factory=True)
        ):
            continue
        values[name] = _plain(value)
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
