"""Which commands there are, in the order of the help. Each stands in a file of its own."""

import typer

from llmforge.cli import (
    config,
    curate,
    dedup,
    doctor,
    export_tokens,
    generate,
    import_tokens,
    init,
    inspect,
    parity,
    plan_scaling,
    run,
    sample_data,
    sweep,
    tokenize,
    trace,
    train,
    verify,
)

_IN_ORDER = (
    run,
    curate,
    dedup,
    tokenize,
    plan_scaling,
    sweep,
    train,
    generate,
    export_tokens,
    import_tokens,
    inspect,
    trace,
    verify,
    parity,
    config,
    init,
    sample_data,
    doctor,
)


def add_all(app: typer.Typer) -> None:
    """Add every command to the application."""
    for module in _IN_ORDER:
        module.add(app)
