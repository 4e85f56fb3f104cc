"""One session of a training: join the others, begin or go on, take the steps, and say what came of it."""

from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import torch

from llmforge.config.schema import Settings
from llmforge.core import log
from llmforge.core.errors import DivergedError, Preempted
from llmforge.core.files import check_writable
from llmforge.core.hashing import hash_value
from llmforge.parallel.process_group import WAIT_S, join_world, launched_size
from llmforge.parallel.zero_config import STAGES, require_deepspeed
from llmforge.train.checkpoint import Position
from llmforge.train.faults import FaultInjector, read_faults
from llmforge.train.folder import TrainFolder
from llmforge.train.guards import StopRequest, end_with_launcher
from llmforge.train.ledger import Ledger
from llmforge.train.loop import Training, run_steps
from llmforge.train.loss_scale import LossScale
from llmforge.train.metrics import MetricsFile
from llmforge.train.mirrors import open_mirrors
from llmforge.train.placement import choose_layout
from llmforge.train.plan import batch_shape, plan_horizon, resolve_model
from llmforge.train.prepare import Session, headline, open_data, prepare_strategy, restore
from llmforge.train.record import Record, training_identity
from llmforge.train.results import final_results, write_samples
from llmforge.train.stage import TrainOutcome
from llmforge.train.status import Status, is_launched_by_us


def run_session(settings: Settings, folder: TrainFolder, *, force: bool, always: bool, strict: bool) -> TrainOutcome:
    """Bring the training to its horizon; every rank calls it. See `stage.train`."""
    end_with_launcher()
    if settings.train.threads is not None:
        torch.set_num_threads(settings.train.threads)
    identity = training_identity(settings)
    arch = resolve_model(settings)
    horizon = plan_horizon(settings, arch)
    if settings.train.tokens == "auto":
        log.decided("tokens", f"{horizon.tokens:,}", horizon.reason)
    strategy, _, reason = choose_layout(settings, arch, launched_size())
    if settings.train.strategy == "auto":
        log.decided("strategy", strategy, reason)
    if strategy in STAGES:
        require_deepspeed()
    world = join_world(wait_s=max(WAIT_S, settings.train.hang_timeout_s))  # the watchdog speaks first
    record = begin(settings, folder, identity, anew=force, always=always) if world.rank == 0 else None
    ledger = Ledger(folder.ledger, writes=record is not None)
    session = Session(settings, folder, hash_value(identity), world, arch, strategy, horizon, ledger, record)
    position = _train(session, start_over=force, strict=strict)
    if record is None:
        return TrainOutcome("built", folder.path, None)
    samples = write_samples(settings, folder, position.step)
    record.finish(final_results(settings, arch, position, folder), [*folder.outputs(position.step), samples])
    return TrainOutcome("resumed" if record.manifest.sessions > 1 else "built", folder.path, record.manifest)


def begin(settings: Settings, folder: TrainFolder, identity: dict[str, Any], *, anew: bool, always: bool) -> Record:
    """Start a session on disk: go on in the folder, or set another training aside; the manifest then says "running"."""
    before = folder.manifest()
    if before is not None and anew and (always or before.identity != identity):
        folder.set_aside()
        before = None
    check_writable(folder.path)
    if not is_launched_by_us():  # our launcher has done it, and may have asked to stop since
        folder.status.clear()
    record = Record(folder.path, settings, identity, before)
    record.write("running")
    folder.status.write(Status(state="running"))
    return record


def after_save(session: Session, saved: Position) -> None:
    """What rank 0 does once a checkpoint is published; the last one's texts are written when the training ends."""
    if session.record is None:
        return
    session.folder.drop_old()
    if session.settings.train.checkpoint.samples and saved.step < session.horizon.num_steps:
        write_samples(session.settings, session.folder, saved.step)


def open_metrics(session: Session, step: int) -> MetricsFile:
    """The metrics and their mirrors, behind `step` steps (count) that were taken before; rank 0 calls it."""
    folder = session.folder
    mirrors = open_mirrors(session.settings, folder.path, session.ledger, resumed_step=step, run_id=session.fingerprint)
    return MetricsFile(folder.metrics, step, mirrors)


def _train(session: Session, *, start_over: bool, strict: bool) -> Position:
    """Build, restore and take the steps; the manifest's state follows."""
    settings, record, world = session.settings, session.record, session.world
    data, validation = open_data(session, strict=strict)
    faults = FaultInjector(read_faults(), world.rank)
    strategy, facts = prepare_strategy(session, faults)
    shape = batch_shape(settings.train, session.arch.context, strategy.data_rank, strategy.data_world)
    log.say(headline(session, shape))
    checkpoints, position = restore(session, strategy, facts, start_over=start_over)
    if position.step > 0:
        after_save(session, position)  # the session before may have ended between publishing and this
    scale = (position.loss_scale or LossScale()) if facts["precision"] == "fp16" else None
    position = replace(position, loss_scale=scale)
    if record is not None:
        record.manifest.execution = facts | {"tokens": session.horizon.tokens}
        record.write("running")
    metrics = open_metrics(session, position.step) if record is not None else None
    with StopRequest(world, session.folder.status) as stop, closing(metrics) if metrics else nullcontext():
        training = Training(
            settings=settings,
            arch=session.arch,
            horizon=session.horizon,
            shape=shape,
            world=world,
            strategy=strategy,
            data=data,
            validation=validation,
            checkpoints=checkpoints,
            metrics=metrics,
            ledger=session.ledger,
            stop=stop,
            status=session.folder.status,
            faults=faults,
            after_save=lambda saved: after_save(session, saved),
        )
        try:
            position = run_steps(training, position)
        except (Preempted, DivergedError) as error:
            if record is not None:
                record.write("preempted" if isinstance(error, Preempted) else "diverged")
            if isinstance(error, Preempted):
                strategy.close()
            raise
    strategy.close()
    return position
