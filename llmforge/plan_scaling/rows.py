"""A number as it is shown: with its unit and its reason."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One number of a plan or a fit, with its unit and where it comes from."""

    name: str
    value: str
    unit: str
    reason: str
