"""What a session works with: data, the engine with the model, and the state to go on from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from llmforge import __version__
from llmforge.arch.architecture import Architecture
from llmforge.arch.params import count_parameters
from llmforge.config.schema import Settings
from llmforge.config.train import COMPILED_UNDER, FP16_UNDER_ZERO
from llmforge.core import log
from llmforge.core.errors import InputError
from llmforge.core.files import read_json, write_json
from llmforge.model.saved import STATE
from llmforge.model.transformer import Transformer
from llmforge.parallel.compile import pays, require_compiler
from llmforge.parallel.precision import calibrate
from llmforge.parallel.process_group import World
from llmforge.parallel.strategies import create_strategy
from llmforge.parallel.strategy import Strategy
from llmforge.parallel.zero_config import STAGES, zero_config
from llmforge.pipeline.fingerprint import package_versions
from llmforge.tokenize.packing import compare_packings
from llmforge.tokenize.token_store import TokenStore
from llmforge.train.agreement import from_first_rank
from llmforge.train.checkpoint import Checkpoints, Position, check_disk, read_position
from llmforge.train.data import TrainingData, ValidationData, open_training_data
from llmforge.train.faults import FaultInjector
from llmforge.train.folder import TrainFolder
from llmforge.train.ledger import Ledger
from llmforge.train.optimizers import build_optimizer
from llmforge.train.plan import CHECKPOINT_BYTES_PER_PARAM, BatchShape, Horizon, source_weights
from llmforge.train.record import PACKAGES, Record

_PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_COMPILE = ("auto", False, True)
# What may differ between two sessions of one training; the ledger tells when it does.
_CHANGEABLE = ("num_steps", "strategy", "processes", "device", "threads", "precision", "compile", "packages")


@dataclass(frozen=True)
class Session:
    """What is known before anything is built; the same on all ranks, but for the record, which rank 0 alone keeps."""

    settings: Settings
    folder: TrainFolder
    fingerprint: str
    world: World
    arch: Architecture
    strategy: str
    horizon: Horizon
    ledger: Ledger
    record: Record | None


def open_data(session: Session, *, strict: bool) -> tuple[TrainingData, ValidationData]:
    """Both splits of the token store.

    Raises: InputError if a source will not be drawn as one may expect and `strict` is on.
    """
    settings, context = session.settings, session.arch.context
    store = settings.run_folder / "tokenize"
    weights = source_weights(settings)
    data = open_training_data(settings, TokenStore.open(store, "train"), context)
    validation = ValidationData(
        TokenStore.open(store, "val"), context, settings.run.seed, document_mask=settings.train.document_mask
    )
    if session.world.rank == 0 and settings.train.packing != "concatenate":
        log.say(f"train: {packing_costs(data, context)}")
    warnings = data_warnings(data, validation, weights, context)
    if warnings and strict:
        raise InputError("\n  ".join(["--strict: the training has warnings:", *warnings]))
    if session.record is not None:
        session.record.manifest.warnings = warnings
    return data, validation


def packing_costs(data: TrainingData, context: int) -> str:
    """What each way of packing breaks and pads, in one line."""
    reports = compare_packings([rows.stream.ends() for rows in data.sources], context)
    costs = [
        f"{name} breaks {report.broken_documents:.1%} of the documents and pads {report.padding:.1%}"
        for name, report in reports.items()
    ]
    return "; ".join(costs)


def data_warnings(
    data: TrainingData, validation: ValidationData, weights: Mapping[str, float], context: int
) -> list[str]:
    """What a user should know of the sources before trusting the training, one sentence each."""
    warnings = [
        f"source {share.name!r} is never drawn: {share.num_windows} windows of {context + 1} tokens at a weight of "
        f"{share.weight:g}"
        for share in data.shares
        if share.num_draws == 0
    ]
    unknown = sorted(set(weights) - {share.name for share in data.shares})
    warnings += [f"source {name!r} has a weight, but no training tokens" for name in unknown]
    if validation.num_windows == 0:
        warnings.append("the validation split is empty: there will be no validation loss")
    return warnings


def prepare_strategy(session: Session, faults: FaultInjector) -> tuple[Strategy, dict[str, Any]]:
    """The engine with the model built.

    Returns: the engine, and the facts of this session that every checkpoint records.
    Raises: MachineError if two checkpoints do not fit on the disk.
    """
    settings, world = session.settings, session.world
    check_disk(session.folder.checkpoints, CHECKPOINT_BYTES_PER_PARAM * count_parameters(session.arch).total)
    precision = choose_precision(session)
    compiled = choose_compile(session, precision)
    section = settings.train.model_copy(update={"strategy": session.strategy, "compile": compiled})
    strategy = create_strategy(section, precision=precision, world=world)
    strategy.prepare(
        lambda: faults.attach(Transformer(session.arch)),
        build_optimizer(settings.train.optimizer, bf16=precision == "bf16"),
        seed=settings.run.seed,
    )
    if session.strategy in STAGES and session.record is not None:
        config = zero_config(
            section.zero,
            STAGES[session.strategy],
            precision=precision,
            num_params=count_parameters(session.arch).total,
        )
        write_json(session.folder.path / "deepspeed.json", config)
    return strategy, {
        "fingerprint": session.fingerprint,
        "llmforge_version": __version__,
        "packages": package_versions(PACKAGES),
        "num_steps": session.horizon.num_steps,
        "strategy": session.strategy,
        "processes": world.size,
        "device": world.device.type,
        "threads": torch.get_num_threads(),
        "precision": precision,
        "compile": compiled,
    }


def choose_precision(session: Session) -> str:
    """The precision of this training: as set, as chosen when it began, or measured now."""
    asked = session.settings.train.precision
    if asked != "auto":
        return asked
    begun_with = session.record.manifest.execution.get("precision", "auto") if session.record is not None else "auto"
    chosen = _PRECISIONS[from_first_rank(_PRECISIONS.index(begun_with), session.world)]
    if chosen != "auto":
        log.decided("precision", chosen, "this training began with it")
        return chosen
    micro_sequences = session.settings.train.micro_batch_sequences
    precision = calibrate(session.arch, micro_batch_sequences=micro_sequences, world=session.world).precision
    if precision == "fp16" and session.strategy in STAGES:
        log.decided("precision", "fp32", FP16_UNDER_ZERO)
        return "fp32"
    return precision


def choose_compile(session: Session, precision: str) -> bool:
    """Whether blocks run compiled: as set, as chosen when the training began, or measured now.

    Raises: MachineError if it is set, and there is no compiler.
    """
    train, world = session.settings.train, session.world
    if train.compile is not False and session.strategy not in COMPILED_UNDER:
        return False  # set to true, it is refused before
    if train.compile != "auto":
        if train.compile:
            require_compiler(world.device)
        return train.compile
    begun_with = session.record.manifest.execution.get("compile", "auto") if session.record is not None else "auto"
    chosen = _COMPILE[from_first_rank(_COMPILE.index(begun_with), world)]
    if chosen != "auto":
        return bool(chosen)
    num_passes = (
        session.horizon.num_steps
        * train.global_batch_tokens
        // (train.micro_batch_sequences * session.arch.context * world.size)
    )
    micro_sequences = train.micro_batch_sequences
    return pays(session.arch, precision, micro_batch_sequences=micro_sequences, num_passes=num_passes, world=world)


def restore(
    session: Session, strategy: Strategy, facts: dict[str, Any], *, start_over: bool
) -> tuple[Checkpoints, Position]:
    """Load the newest whole checkpoint, if there ever was one.

    Args:
        session, strategy: what to restore into.
        facts: of this session; where they differ from the checkpoint's, the ledger is told.
        start_over: begin anew if no checkpoint is whole.

    Raises: InputError if there are checkpoints and none is whole, or the horizon lies before the one found.
    """
    section = session.settings.train.checkpoint
    checkpoints = Checkpoints(session.folder.checkpoints, session.arch, facts, section, session.world)
    found = checkpoints.find(session.ledger, start_over=start_over)
    if found is None:
        return checkpoints, Position()
    position, num_steps = read_position(found, session.fingerprint), session.horizon.num_steps
    if position.step > num_steps:
        raise InputError(
            f"{session.folder.path}: {position.step:,} steps are trained, and train.tokens asks for {num_steps:,}",
            "set train.tokens higher, or begin anew: llmforge train --force",
        )
    strategy.load(found)
    log.say(f"train: going on from {found.name}")
    note_changes(session.ledger, position.step, read_json(found / STATE), facts)
    return checkpoints, position


def note_changes(ledger: Ledger, step: int, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Tell, and enter in the ledger, in what this session differs from the one that saved the state."""
    changes = {name: [before.get(name), now[name]] for name in _CHANGEABLE if before.get(name) != now[name]}
    if not changes:
        return
    ledger.add("changed", step, **changes)
    for name, (old, new) in changes.items():
        log.say(f"train: {name} was {old} up to step {step:,}, and is {new} from here on")
    if "num_steps" in changes:
        log.say("train: the learning rate follows the schedule of the new horizon from here on")


def headline(session: Session, shape: BatchShape) -> str:
    """One line on what will be trained."""
    horizon = session.horizon
    return (
        f"train: {count_parameters(session.arch).total:,} parameters, {horizon.tokens:,} tokens in "
        f"{horizon.num_steps:,} steps of {shape.micro_sequences} sequences x {session.arch.context} tokens x "
        f"accumulation {shape.accumulation} x {shape.data_world} data ranks"
    )
