"""The chain of stages, and how a part of it is chosen."""

from llmforge.core.errors import SettingsError

STAGES = ("curate", "dedup", "tokenize", "plan-scaling", "train")


def choose_stages(first: str | None, last: str | None) -> tuple[str, ...]:
    """The stages from `first` to `last`, both included, in order; None stands for the end of the chain.

    Raises: SettingsError if a name is unknown or the two are in the wrong order.
    """
    for flag, name in (("--from", first), ("--to", last)):
        if name is not None and name not in STAGES:
            raise SettingsError(f"{flag}: unknown stage; got {name!r}, allowed {', '.join(STAGES)}")
    begin = STAGES.index(first) if first else 0
    end = STAGES.index(last) if last else len(STAGES) - 1
    if begin > end:
        raise SettingsError(f"--from {first} comes after --to {last}", f"the order is {' -> '.join(STAGES)}")
    return STAGES[begin : end + 1]
