"""Recipes: shipped lists of rules, as data in configs/recipes/."""

from pathlib import Path
from typing import Any

from llmforge.config.positions import read_yaml


def find_recipes() -> dict[str, Path]:
    """The shipped recipes by name: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "configs"
    folder = (inside if inside.is_dir() else package.parent / "configs") / "recipes"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def read_recipe(name: str) -> dict[str, Any]:
    """What a shipped recipe sets in `curate`: `filters`, in order, and the languages to keep where it has some."""
    settings: dict[str, Any] = read_yaml(find_recipes()[name]).value
    return settings
