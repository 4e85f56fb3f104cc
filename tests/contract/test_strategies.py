"""Every torch-native strategy computes what one process computes. A new strategy is a new row of ROWS.

Each number of processes is started once and runs all cases of all its rows inside.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.config.parallel import ParallelSection
from llmforge.config.train import OptimizerSection, TrainSection
from llmforge.core.hashing import derive_seed
from llmforge.model.transformer import Transformer
from llmforge.parallel.local_world import run_in_processes
from llmforge.parallel.process_group import World, join_world
from llmforge.parallel.strategies import create_strategy
from llmforge.parallel.strategy import IGNORE, MicroBatch
from llmforge.train.optimizers import build_optimizer

SLICED = {"sequence_parallel": True, "vocabulary_parallel_loss": True}
ROWS = {
    "single": ("single", 1, {}),
    "ddp": ("ddp", 2, {}),
    "fsdp": ("fsdp", 2, {"activation_checkpointing": "full"}),
    "pipeline": ("pipeline", 2, {}),
    "tensor": ("tensor", 2, {}),
    "2d": ("2d", 4, {}),
}
SLOW_ROWS = {
    "tensor-sliced": ("tensor", 2, SLICED | {"activation_checkpointing": "selective"}),
    "model": ("model", 2, {}),
    "fsdp-hybrid": ("fsdp", 4, {"replicate": 2}),
    "2d-data-tensor": ("2d", 4, {"shard": 2, "tensor": 2, **SLICED}),
    "2d-data-pipeline": ("2d", 4, {"replicate": 2, "pipeline": 2}),
    "3d": ("3d", 8, {}),
    "3d-replicated": ("3d", 8, {"replicate": 2}),
}
# With four layers, and gradients only: more stages, and more ranks than key and value heads.
DEEP_ROWS = {
    "interleaved": ("pipeline", 2, {"schedule": "interleaved_1f1b"}),
    "gpipe": ("pipeline", 4, {"schedule": "gpipe"}),
    "tensor-4": ("tensor", 4, {}),
}
FAMILIES = ["gpt2", "llama2"]
SLOW_FAMILIES = ["gpt3", "palm", "bloom"]
MASKED_FAMILIES = ["gpt2", "bloom"]
DEEP_FAMILIES = ["gpt2-deep", "llama2-deep"]
MUON = build_optimizer(OptimizerSection(name="muon"))
VOCAB, CONTEXT, SEQUENCES, STEPS = 120, 32, 8, 20


def architecture(family, dropout=0.0):
    """Small; Llama's vocabulary is odd, so that tensor ranks hold parts of different sizes."""
    name, _, deep = family.partition("-")
    multiple = 1 if name == "llama2" else 64
    layers = 4 if deep else None
    section = ModelSection(
        preset=f"{name}-nano", context=CONTEXT, dropout=dropout, layers=layers, vocab_multiple=multiple
    )
    return resolve_architecture(section, vocab_size=VOCAB + 1)


def global_batch(step, *, uneven=True):
    """One global batch; uneven ones have few valid targets in the first sequences and many in the last."""
    generator = torch.Generator().manual_seed(derive_seed("batch", step))
    draws = torch.rand((SEQUENCES, CONTEXT + 1), generator=generator)
    rows = (draws**3 * VOCAB).long()  # small ids are frequent: there is something to learn
    tokens, targets = rows[:, :-1].clone(), rows[:, 1:].clone()
    if uneven:
        for sequence in range(SEQUENCES):
            targets[sequence, (sequence * CONTEXT) // SEQUENCES :] = IGNORE
    return tokens, targets


def share(strategy, step, accumulation=2, *, uneven=True):
    """This rank's micro-batches of a global batch."""
    tokens, targets = global_batch(step, uneven=uneven)
    per_rank = SEQUENCES // strategy.data_world
    rows = slice(strategy.data_rank * per_rank, (strategy.data_rank + 1) * per_rank)
    pairs = zip(tokens[rows].chunk(accumulation), targets[rows].chunk(accumulation), strict=True)
    return [MicroBatch(*pair) for pair in pairs]


def masked(batches):
    """The batches under a document mask: every seventh token of the vocabulary begins a document."""
    return [replace(batch, documents_BT=(batch.tokens_BT % 7 == 0).cumsum(1)) for batch in batches]


def sgd(named):
    return torch.optim.SGD([p for _, p in named], lr=1.0, foreach=False)


def adamw(named):
    return torch.optim.AdamW([p for _, p in named], lr=1.0, weight_decay=0.1)


def prepared(world, row, arch, optimizer=sgd, max_grad_norm=1e9, precision="fp32"):
    name, _, degrees = (ROWS | SLOW_ROWS | DEEP_ROWS)[row]
    train = TrainSection(strategy=name, max_grad_norm=max_grad_norm, parallel=ParallelSection(**degrees))
    strategy = create_strategy(train, precision=precision, world=world)
    strategy.prepare(lambda: Transformer(arch), optimizer, seed=7)
    return strategy


def arrays(pairs):
    return {name: tensor.numpy().copy() for name, tensor in pairs}


def step(strategy, number, lr=3e-3):
    result = strategy.forward_backward(share(strategy, number), seed=number)
    strategy.apply(lr)
    return result.loss


def gradient_case(world, name, family, accumulation, uneven):
    strategy = prepared(world, name, architecture(family))
    result = strategy.forward_backward(share(strategy, 0, accumulation, uneven=uneven), seed=0)
    return result, arrays(strategy.gradients())


def masked_case(world, name, family):
    strategy = prepared(world, name, architecture(family))
    result = strategy.forward_backward(masked(share(strategy, 0)), seed=0)
    (same_everywhere,) = masked([MicroBatch(*global_batch(0))])
    return result, arrays(strategy.gradients()), strategy.eval_step(same_everywhere).loss


def clipping_case(world, name, max_grad_norm):
    strategy = prepared(world, name, architecture("gpt2"), max_grad_norm=max_grad_norm)
    before = arrays(strategy.full_state())
    result = strategy.forward_backward(share(strategy, 0), seed=0)
    strategy.apply(1.0)
    after = arrays(strategy.full_state())
    update = np.sqrt(sum(np.square(after[key] - before[key]).sum(dtype=np.float64) for key in after))
    return result.grad_norm, float(update)


def training_case(world, name, optimizer, lr):
    strategy = prepared(world, name, architecture("gpt2"), optimizer, max_grad_norm=1.0)
    losses = [step(strategy, number, lr) for number in range(STEPS)]
    evaluation = strategy.eval_step(share(strategy, 99, 1)[0])
    return losses, evaluation, arrays(strategy.full_state())


def muon_case(world, name):
    """Five steps of an optimizer that needs each matrix whole, whoever holds what of it."""
    strategy = prepared(world, name, architecture("llama2"), MUON, max_grad_norm=1.0)
    return [step(strategy, number, 2e-2) for number in range(5)]


def resume_case(world, name, folder):
    """Six steps with dropout, and the last three again from a checkpoint."""
    arch = architecture("gpt2", dropout=0.1)
    strategy = prepared(world, name, arch, adamw)
    for number in range(3):
        step(strategy, number)
    strategy.save(folder)
    through = [step(strategy, number) for number in range(3, 6)]
    resumed = prepared(world, name, arch, adamw)
    resumed.load(folder)
    again = [step(resumed, number) for number in range(3, 6)]
    return through, again, arrays(strategy.full_state()), arrays(resumed.full_state())


def save_for_others(world, name, folder):
    """Three steps, a checkpoint, and the losses that follow it."""
    strategy = prepared(world, name, architecture("llama2"), adamw)
    for number in range(3):
        step(strategy, number)
    strategy.save(folder)
    return [step(strategy, number) for number in range(3, 6)]


def continue_from(world, name, folder):
    strategy = prepared(world, name, architecture("llama2"), adamw)
    strategy.load(folder)
    return [step(strategy, number) for number in range(3, 6)]


def nan_case(world, name):
    """One rank meets a NaN: what each rank is told, and whether a discarded step leaves no trace."""
    strategy = prepared(world, name, architecture("gpt2"), adamw)
    step(strategy, 0)
    before = arrays(strategy.full_state())
    poisoned = world.rank == world.size - 1
    scale = next(p for p in strategy._optimizer.param_groups[0]["params"] if p.dim() == 1)
    healthy = scale.detach().clone()
    if poisoned:
        with torch.no_grad():
            scale.fill_(torch.nan)
    finite = strategy.forward_backward(share(strategy, 1), seed=1).finite
    strategy.discard()
    with torch.no_grad():
        scale.copy_(healthy)
    unchanged = all(np.array_equal(before[key], value) for key, value in arrays(strategy.full_state()).items())
    return finite, unchanged, step(strategy, 1)


def bf16_case(world, name):
    """Two steps in bf16, and the types that the canonical state has."""
    strategy = prepared(world, name, architecture("llama2"), precision="bf16")
    losses = [step(strategy, number) for number in range(2)]
    return losses, {str(tensor.dtype) for _, tensor in strategy.full_state()}


def empty_case(world, name):
    """A batch without any valid target."""
    strategy = prepared(world, name, architecture("gpt2"))
    batches = share(strategy, 0)
    nothing = [replace(batch, targets_BT=torch.full_like(batch.targets_BT, IGNORE)) for batch in batches]
    return strategy.forward_backward(nothing, seed=0), strategy.eval_step(nothing[0])


def memory_case(world, name):
    """Bytes of this rank's weights, gradients and optimizer states, once all of them exist."""
    strategy = prepared(world, name, architecture("gpt2"), adamw)
    step(strategy, 0)
    strategy.forward_backward(share(strategy, 1), seed=1)
    return strategy.state_bytes()


def gradient_cases(families):
    return {("gradient", family, 2, True): (gradient_case, family, 2, True) for family in families}


CASES = {
    **gradient_cases(FAMILIES),
    ("gradient", "gpt2", 1, True): (gradient_case, "gpt2", 1, True),
    ("gradient", "gpt2", 2, False): (gradient_case, "gpt2", 2, False),
    **{("masked", family): (masked_case, family) for family in MASKED_FAMILIES},
    "clipping": (clipping_case, 0.1),
    "no clipping": (clipping_case, 1e9),
    "sgd": (training_case, sgd, 0.3),
    "adamw": (training_case, adamw, 3e-3),
    "muon": (muon_case,),
    "bf16": (bf16_case,),
    "nan": (nan_case,),
    "empty": (empty_case,),
    "memory": (memory_case,),
}
GRADIENTS = [key for key in CASES if key[0] == "gradient"]


def run_all(world: World, name: str, folder: Path, saved_by_single: Path | None):
    folder.mkdir(exist_ok=True)
    torch.manual_seed(world.rank)  # nothing may depend on the state that a rank happens to be in
    results = {key: function(world, name, *args) for key, (function, *args) in CASES.items()}
    results["resume"] = resume_case(world, name, folder / "resume")
    results["saved"] = save_for_others(world, name, folder / "saved")
    results["from single"] = continue_from(world, name, saved_by_single) if saved_by_single else None
    return results


def run_gradients(world: World, name: str, families):
    return {key: function(world, name, *args) for key, (function, *args) in gradient_cases(families).items()}


def run_world(world: World, rows, gradients, folder: Path, saved_by_single: Path):
    """Rows of one number of processes: some in full, and some (or the same) for their gradients of other families."""
    results = {row: run_all(world, row, folder / row, saved_by_single) for row in rows}
    for row, families in gradients.items():
        results[row] = results.get(row, {}) | run_gradients(world, row, families)
    return results


ONE = join_world({})


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Models are tiny: threads would only wait for each other, and for the ranks."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(num_threads)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    folder = tmp_path_factory.mktemp("single")
    return folder, run_all(ONE, "single", folder, None)


@pytest.fixture(scope="module")
def other_families():
    """Gradients of one process, by case."""
    return run_gradients(ONE, "single", [*SLOW_FAMILIES, *DEEP_FAMILIES])


@pytest.fixture(scope="module")
def started(single, tmp_path_factory):
    """Starts the processes of all fast, or of all slow, rows of a size once, when the first of them is asked for.

    Gradients of the other families, of all rows, are slow ones.
    """
    results = {}

    def start(size, slow):
        if (size, slow) not in results:
            folder = tmp_path_factory.mktemp("world")
            rows = of_size(SLOW_ROWS, size) if slow else [row for row in of_size(ROWS, size) if row != "single"]
            gradients = dict.fromkeys(of_size(ROWS | SLOW_ROWS, size), SLOW_FAMILIES)
            gradients |= dict.fromkeys(of_size(DEEP_ROWS, size), DEEP_FAMILIES)
            arguments = (rows, gradients if slow else {}, folder, single[0] / "saved")
            results[size, slow] = folder, run_in_processes(run_world, size, *arguments, timeout_s=800)
        return results[size, slow]

    return start


def of_size(rows, size):
    return [row for row, (_, processes, _) in rows.items() if processes == size]


SLOW = pytest.mark.slow
ALL_ROWS = [row for row in ROWS if row != "single"] + [pytest.param(row, marks=SLOW) for row in SLOW_ROWS]


@pytest.fixture(scope="module", params=ALL_ROWS)
def ranks(request, started):
    """Results by rank, and where the strategy saved."""
    row = request.param
    folder, results = started((ROWS | SLOW_ROWS)[row][1], row in SLOW_ROWS)
    return folder / row, [of_rank[row] for of_rank in results]


pytestmark = [pytest.mark.dist, pytest.mark.timeout(900)]


def check_gradients(expected, ranks, key):
    expected, expected_gradients = expected
    for rank in ranks:
        result, gradients = rank[key]
        assert result.tokens == expected.tokens
        assert result.loss == pytest.approx(expected.loss, rel=1e-6)
        assert result.grad_norm == pytest.approx(expected.grad_norm, rel=1e-5)
        assert gradients.keys() == expected_gradients.keys()
        for name, gradient in gradients.items():
            allowed = 1e-5 * max(np.linalg.norm(expected_gradients[name]), 1e-3 * expected.grad_norm)
            assert np.linalg.norm(gradient - expected_gradients[name]) <= allowed, name


@pytest.mark.slow
@pytest.mark.parametrize("row", [*[row for row in ROWS if row != "single"], *SLOW_ROWS, *DEEP_ROWS])
def test_raw_gradients_of_the_other_families(started, other_families, row):
    _, results = started((ROWS | SLOW_ROWS | DEEP_ROWS)[row][1], True)
    for family in DEEP_FAMILIES if row in DEEP_ROWS else SLOW_FAMILIES:
        key = ("gradient", family, 2, True)
        check_gradients(other_families[key], [of_rank[row] for of_rank in results], key)


@pytest.mark.parametrize("key", GRADIENTS, ids=lambda key: "-".join(map(str, key)))
def test_raw_gradients_and_loss_are_those_of_one_process(single, ranks, key):
    check_gradients(single[1][key], ranks[1], key)


@pytest.mark.parametrize("family", MASKED_FAMILIES)
def test_a_document_mask_reaches_every_rank(single, ranks, family):
    *expected, loss = single[1]["masked", family]
    of_ranks = [rank["masked", family] for rank in ranks[1]]
    check_gradients(expected, [{"masked": found[:2]} for found in of_ranks], "masked")
    assert [found[2] for found in of_ranks] == pytest.approx([loss] * len(of_ranks), rel=1e-6)


def test_loss_is_a_mean_over_valid_tokens_whatever_the_accumulation(single):
    one, two = (single[1]["gradient", "gpt2", accumulation, True][0] for accumulation in (1, 2))
    assert one.tokens == two.tokens == (global_batch(0)[1] != IGNORE).sum()
    assert one.loss == pytest.approx(two.loss, rel=1e-6)
    assert one.grad_norm == pytest.approx(two.grad_norm, rel=1e-5)


def test_clipping_holds_the_global_update_to_the_limit(single, ranks):
    assert single[1]["clipping"][0] > 0.2  # the limit of 0.1 is active
    for results in [single[1], *ranks[1]]:
        assert results["clipping"][1] == pytest.approx(0.1, rel=1e-4)
        assert results["no clipping"][1] == pytest.approx(single[1]["no clipping"][0], rel=1e-4)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_twenty_steps_give_the_losses_of_one_process(single, ranks, optimizer):
    losses, evaluation, weights = single[1][optimizer]
    assert losses[-1] < losses[0] - 0.05
    for rank in ranks[1]:
        assert rank[optimizer][0] == pytest.approx(losses, rel=1e-5)
        assert rank[optimizer][1].tokens == evaluation.tokens
        assert rank[optimizer][1].loss == pytest.approx(evaluation.loss, rel=1e-5)
        if optimizer == "sgd":
            for name, weight in rank[optimizer][2].items():
                assert np.abs(weight - weights[name]).max() <= 1e-5, name


def test_muon_gives_the_losses_of_one_process(single, ranks):
    losses = single[1]["muon"]
    assert losses[-1] < losses[0] - 0.05
    for rank in ranks[1]:
        assert rank["muon"] == pytest.approx(losses, rel=1e-5)


@pytest.fixture(scope="module")
def in_fp32():
    """The losses of two steps of the model that `bf16_case` trains."""
    strategy = prepared(ONE, "single", architecture("llama2"))
    return [step(strategy, number) for number in range(2)]


def test_bf16_computes_near_fp32_over_fp32_weights(single, ranks, in_fp32):
    for results in [single[1], *ranks[1]]:
        losses, dtypes = results["bf16"]
        assert losses == pytest.approx(in_fp32, rel=1e-3)
        assert losses != in_fp32
        assert dtypes == {"torch.float32"}


def test_resume_with_dropout_is_bit_exact(single, ranks):
    for results in [single[1], *ranks[1]]:
        through, again, weights, resumed_weights = results["resume"]
        assert through == again
        assert all(np.array_equal(weights[name], resumed_weights[name]) for name in weights)


def test_a_checkpoint_goes_on_under_another_strategy(single, ranks):
    folder, results = ranks
    for rank in results:
        assert rank["from single"] == pytest.approx(single[1]["saved"], rel=1e-5)
    back = continue_from(ONE, "single", folder / "saved")
    assert back == pytest.approx(results[0]["saved"], rel=1e-5)


def test_a_nan_on_one_rank_stops_all_ranks_and_a_discarded_step_leaves_no_trace(single, ranks):
    for results in [single[1], *ranks[1]]:
        finite, unchanged, next_loss = results["nan"]
        assert not finite
        assert unchanged
        assert next_loss == pytest.approx(single[1]["nan"][2], rel=1e-5)


def test_a_batch_without_valid_targets_is_reported_not_divided_by_zero(single, ranks):
    for results in [single[1], *ranks[1]]:
        trained, evaluated = results["empty"]
        assert (trained.tokens, trained.loss_sum, trained.grad_norm) == (0, 0.0, 0.0)
        assert not trained.finite
        assert (evaluated.tokens, evaluated.loss_sum) == (0, 0.0)


def test_all_ranks_hold_the_same_weights_to_the_last_bit(ranks):
    first, *others = ranks[1]
    for other in others:
        for name, weight in first["adamw"][2].items():
            assert np.array_equal(weight, other["adamw"][2][name]), name


def test_a_rank_holds_its_share_of_the_model_state(single, ranks, request):
    """FSDP keeps its part of everything; replicas keep all."""
    whole = sum(single[1]["memory"].values())
    shares = [sum(results["memory"].values()) / whole for results in ranks[1]]
    row = request.node.callspec.params["ranks"]
    if row == "ddp":
        assert shares == [1.0, 1.0]
    if row in ("fsdp", "model", "pipeline", "tensor", "tensor-sliced", "fsdp-hybrid"):
        assert max(shares) <= 0.6
    assert sum(shares) >= 1.0
