"""Rules that hold between sections, each a small function over the whole settings."""

from collections.abc import Callable, Iterator

from llmforge.config.problems import Problem, nearest
from llmforge.config.schema import Settings


def _heads_divide_width(settings: Settings) -> Iterator[Problem]:
    dim, heads = settings.model.dim, settings.model.heads
    if dim and heads and dim % heads:
        legal = [count for count in range(1, dim + 1) if dim % count == 0]
        near = sorted(sorted(legal, key=lambda count: abs(count - heads))[:3])
        yield Problem(
            ("model", "heads"),
            f"`model.heads` does not divide `model.dim`; got {heads} heads for a width of {dim}",
            f"nearest that do: {', '.join(map(str, near))}",
        )


def _source_names_differ(settings: Settings) -> Iterator[Problem]:
    seen: set[str] = set()
    for place, source in enumerate(settings.curate.sources):
        if source.name is not None and source.name in seen:
            path = ("curate", "sources", place, "name")
            yield Problem(path, f"two sources have the name {source.name!r}", "give each source a name of its own")
        seen.add(source.name or "")


def _dropped_rules_are_listed(settings: Settings) -> Iterator[Problem]:
    listed: list[str] = [rule.rule for rule in settings.curate.filters]
    for place, name in enumerate(settings.curate.filters_drop):
        if name not in listed:
            what = f"no rule {name!r} is in the list; there are {', '.join(listed) or 'none'}"
            yield Problem(("curate", "filters_drop", place), what, nearest(name, listed))


def _rules_stand_once(settings: Settings) -> Iterator[Problem]:
    names = [rule.rule for rule in settings.curate.rules]
    for name in sorted({name for name in names if names.count(name) > 1}):
        hint = f"put {name} into filters_drop to give it other limits in filters_add"
        yield Problem(("curate", "filters_add"), f"the rule {name!r} stands in the list twice", hint)


RULES: tuple[Callable[[Settings], Iterator[Problem]], ...] = (
    _heads_divide_width,
    _source_names_differ,
    _dropped_rules_are_listed,
    _rules_stand_once,
)


def broken_rules(settings: Settings) -> list[Problem]:
    """Every rule between sections that the settings break."""
    return [problem for rule in RULES for problem in rule(settings)]
