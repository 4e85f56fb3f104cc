"""Plans: what is asked, what comes out, and what is refused."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from llmforge.config.model import ModelSection
from llmforge.config.plan_scaling import PlanScalingSection
from llmforge.config.schema import Settings
from llmforge.core.errors import SettingsError
from llmforge.plan_scaling.describe import describe_plan, laws_table, left_out_lines, memory_table
from llmforge.plan_scaling.plan import make_plan
from llmforge.plan_scaling.shapes import nearest_shape
from llmforge.plan_scaling.utilization import choose_utilization

VOCAB = 8192


def plan(section=None, model=None, train=None, tokens=None, bytes_per_token=None, vocab=VOCAB):
    chosen = Settings.model_validate({"plan_scaling": section or {}, "model": model or {}, "train": train or {}})
    return make_plan(chosen, tokens, bytes_per_token, vocab)


def test_a_budget_is_spent_at_twenty_tokens_a_parameter():
    answer = plan({"budget_flops": 1e20})
    run = answer.recommended
    assert run.flops == 6.0 * run.params * run.tokens
    assert 0.999e20 < run.flops <= 1e20
    assert run.tokens_per_param == pytest.approx(20, rel=0.05)
    twenty = answer.laws[0]
    assert twenty.tokens / twenty.params == pytest.approx(20, rel=1e-12)
    assert 6 * twenty.params * twenty.tokens == pytest.approx(1e20, rel=1e-12)
    assert len(answer.laws) >= 2


def test_a_size_gets_the_nearest_shape_and_twenty_times_its_tokens():
    run = plan({"params": 125_000_000}, vocab=50_257).recommended
    assert run.model["layers"] == 12
    assert run.model["dim"] == 768
    assert run.params == 124_475_904  # GPT-2 small with a vocabulary padded by 47
    assert 0 <= 20 * run.params - run.tokens < run.global_batch_tokens


def test_tokens_at_hand_are_read_once_where_a_model_fits_them():
    run = plan(tokens=2_000_000_000).recommended
    assert run.epochs == pytest.approx(1, abs=0.05)
    assert run.params == pytest.approx(1e8, rel=0.05)


def test_few_tokens_give_the_smallest_model_and_few_epochs():
    answer = plan(tokens=3_000_000)
    run = answer.recommended
    assert run.params < 1_000_000
    assert 3.9 < run.epochs <= 4
    assert run.steps > 100
    assert run.predicted_loss is None
    assert any("stopped at plan_scaling.max_epochs = 4" in caution for caution in answer.cautions)


def test_a_large_budget_for_little_text_does_not_make_a_large_model():
    answer = plan({"budget_flops": 1e20}, tokens=10_000_000)
    assert answer.recommended.params < 3_000_000
    assert answer.recommended.epochs <= 4


def test_tokens_asked_for_by_number_are_not_limited_but_cautioned():
    answer = plan({"tokens": 200_000_000}, tokens=10_000_000)
    assert answer.recommended.epochs == pytest.approx(20, rel=0.01)
    assert any("beyond 4, a repeated token" in caution for caution in answer.cautions)


def test_a_configured_model_is_planned_as_it_is():
    answer = plan(model={"preset": "gpt2-mini"}, train={"global_batch_tokens": 8192}, tokens=10**9)
    run = answer.recommended
    assert answer.question.kind == "model"
    assert run.model == {"preset": "gpt2-mini"}
    assert run.global_batch_tokens == 8192
    assert 0 <= 20 * run.params - run.tokens < 8192
    assert answer.question.value == run.params


def test_a_configured_model_spends_a_budget_on_tokens():
    run = plan({"budget_flops": 1e15}, model={"preset": "gpt2-mini"}).recommended
    assert run.tokens == int(1e15 / (6 * run.params) // 16384) * 16384


def test_hours_follow_from_a_device_and_are_null_without_one():
    section = {"budget_flops": 1e20, "device_flops_per_s": 312e12, "num_devices": 8, "utilization": 0.5}
    answer = plan(section)
    assert answer.recommended.hours == pytest.approx(answer.recommended.flops / (8 * 312e12 * 0.5) / 3600)
    assert plan({"budget_flops": 1e20}).recommended.hours is None


def test_bits_per_byte_are_the_loss_in_the_corpus_own_bytes():
    run = plan({"budget_flops": 1e20}, bytes_per_token=4.0).recommended
    assert run.predicted_bits_per_byte == pytest.approx(run.predicted_loss / math.log(2) / 4)


@pytest.mark.parametrize(
    ("section", "model", "message"),
    [
        ({"budget_flops": 1e20, "tokens": 10**9}, {}, r"plan_scaling.budget_flops = 1e\+20 and plan_scaling.tokens"),
        ({"budget_gpu_hours": 10.0}, {}, "plan_scaling.budget_gpu_hours = 10, but no device says"),
        ({"budget_money": 1e4, "device": "a100-80gb"}, {}, "plan_scaling.budget_money = 10000, but no price says"),
        ({"budget_money": 1.0, "budget_gpu_hours": 1.0}, {}, "plan_scaling.budget_gpu_hours = 1 and plan_scaling.budg"),
        ({"budget_gpu_hours": 1e-6, "device": "h100-80gb"}, {}, r"nearest value .* is plan_scaling.budget_gpu_hours="),
        ({"params": 10**9}, {"preset": "gpt2-mini"}, "plan_scaling.params = 1,000,000,000 asks for a size, but"),
        ({}, {}, "nothing to plan from"),
        ({"budget_flops": 1e6}, {}, r"plan_scaling.budget_flops = 1e\+06 asks for a model of 91 parameters"),
        ({"budget_flops": 1e30}, {}, r"nearest value that a model answers is plan_scaling.budget_flops="),
        ({"params": 1000}, {}, "nearest legal shape has 640,768(.|\n)*plan_scaling.params=6.41e"),
        ({"tokens": 1000}, {}, r"nearest value that a model answers is plan_scaling.tokens=1.28e\+07"),
        ({}, {"dim": 100, "heads": 3}, "does not divide"),
    ],
)
def test_questions_that_cannot_be_answered_are_refused(section, model, message):
    with pytest.raises(SettingsError, match=message):
        plan(section, model)


@settings(max_examples=25, deadline=None)
@given(st.floats(15, 25), st.sampled_from(["gpt2", "gpt3-125m", "llama2-7b", "palm-8b", "bloom-560m"]))
def test_every_budget_gets_a_legal_shape_near_its_optimum(exponent, family):
    budget = 10.0**exponent
    wanted = (budget / 120) ** 0.5
    shape = nearest_shape(ModelSection(preset=family), VOCAB, wanted)
    assert shape.params == pytest.approx(wanted, rel=0.3)
    assert shape.arch.heads % shape.arch.kv_heads == 0


@settings(max_examples=25, deadline=None)
@given(st.integers(100_000, 10**13))
def test_a_run_is_made_of_whole_steps(tokens):
    run = plan(tokens=tokens).recommended
    assert run.tokens == run.steps * run.global_batch_tokens == run.sequences * run.context
    assert (run.global_batch_tokens // run.context) % run.micro_batch_sequences == 0
    assert run.epochs <= 4 or run.steps == 1


def test_every_row_of_numbers_has_a_reason():
    answer = plan({"budget_flops": 1e20, "device_flops_per_s": 1e12}, tokens=10**10, bytes_per_token=4.2)
    rows = {row.name: row for row in describe_plan(answer)}
    assert all(row.reason for row in rows.values())
    assert rows["compute"].unit == "FLOPs"
    assert rows["time"].unit == "hours"
    assert rows["predicted loss"].unit.endswith("bits per byte")
    assert "of 1e+12 FLOPs/s at 40.0%" in rows["time"].reason


def test_a_law_that_has_no_answer_says_so():
    header, *rows = laws_table(plan(tokens=3_000_000))
    answers = {row[0]: row for row in rows}
    assert answers["Kaplan"][1:4] == ["-", "-", "-"]
    assert "far outside its runs" in answers["Kaplan"][-1]
    assert answers["20 tokens per parameter"][1:4] == ["1.5e+05", "3e+06", "20.0"]
    assert {len(row) for row in rows} == {len(header)}


def test_twenty_tokens_a_parameter_is_answered_for_any_tokens():
    twenty = plan(tokens=71_368).laws[0]
    assert (twenty.params, twenty.tokens_per_param) == (pytest.approx(71_368 / 20), pytest.approx(20, rel=1e-12))


@pytest.mark.parametrize("devices", [1, 3, 6, 8, 48, 512])
@pytest.mark.parametrize("tokens", [10**7, 10**9, 10**11])
def test_a_step_divides_over_the_devices(devices, tokens):
    run = plan({"tokens": tokens, "num_devices": devices}).recommended
    assert run.global_batch_tokens % (run.micro_batch_sequences * run.context * devices) == 0
    assert run.global_batch_tokens >= 8 * run.context


def test_a_law_of_rates_says_where_it_is_extrapolated():
    def cautioned(answer):
        return any("batch and learning rate are extrapolated" in caution for caution in answer.cautions)

    assert cautioned(plan({"params": 5 * 10**9}))
    assert not cautioned(plan({"params": 5 * 10**8}))
    assert not cautioned(plan(model={"preset": "gpt2-mini"}))


def test_the_laws_interval_is_of_what_was_not_asked_for():
    of_size, of_budget = plan({"params": 10**9}), plan({"budget_flops": 1e20})
    rows = {row.name: row for row in describe_plan(of_size)}
    tokens = [law.tokens for law in of_size.laws]
    assert rows["tokens, by law"].value == f"{min(tokens):.3g} to {max(tokens):.3g}"
    assert max(tokens) > 1.5 * min(tokens)
    assert "sizes, by law" not in rows
    assert "sizes, by law" in {row.name for row in describe_plan(of_budget)}


def test_strategies_are_in_the_table_or_left_out_with_a_reason():
    answer = plan({"params": 5 * 10**9, "num_devices": 7})
    names = {"ddp", "fsdp", "zero1", "zero2", "zero3", "tensor", "pipeline", "model", "2d", "3d"}
    assert names <= answer.memory.keys() | answer.left_out.keys()
    assert answer.memory.keys() == answer.layouts.keys()
    assert any(line.startswith("left out: tensor, as 7 tensor ranks do not divide") for line in left_out_lines(answer))
    assert dict(zip(answer.memory, [row[-1] for row in memory_table(answer)[1:]], strict=True))["ddp"] == "replicate 7"


def test_small_models_are_measured_in_mebibytes():
    header, *rows = memory_table(plan(tokens=3_000_000))
    assert header[0] == "memory a rank, MiB"
    assert float(rows[0][header.index("total")]) > 1


def test_the_memory_table_adds_up():
    answer = plan({"params": 125_000_000, "num_devices": 8})
    header, *rows = memory_table(answer)
    assert {row[0] for row in rows} == set(answer.memory) > {"single", "ddp", "fsdp", "zero3, offload"}
    total = header.index("total")
    for row in rows:
        assert sum(map(float, row[1:total])) == pytest.approx(float(row[total]), abs=0.05)


def test_the_cheapest_strategy_that_fits_is_named():
    devices = {"device_flops_per_s": 312e12, "num_devices": 8}
    small = plan({"params": 125_000_000, "device_memory_bytes": 40 * 2**30, **devices})
    large = plan({"params": 7 * 10**9, "device_memory_bytes": 80 * 2**30, **devices})
    assert small.recommended.strategy == "ddp"
    assert large.recommended.strategy in ("zero2", "zero1", "fsdp")
    assert large.memory["ddp"]["total"] > 80 * 2**30 >= large.memory[large.recommended.strategy]["total"]
    assert plan({"params": 125_000_000}).recommended.strategy is None


def test_a_model_that_fits_nowhere_is_cautioned():
    answer = plan({"params": 7 * 10**9, "device_memory_bytes": 2**30})
    assert answer.recommended.strategy is None
    assert any("no strategy fits into plan_scaling.device_memory_bytes" in caution for caution in answer.cautions)


def test_hours_and_money_buy_the_same_run_as_their_flops():
    device = {"device": "a100-40gb", "num_devices": 8, "price_per_device_hour": 2.0}
    hours = plan({"budget_gpu_hours": 1000.0, **device})
    money = plan({"budget_money": 2000.0, **device})
    flops = plan({"budget_flops": hours.question.flops, **device})
    assert hours.recommended == money.recommended == flops.recommended
    run = hours.recommended
    assert run.device_hours == pytest.approx(1000, rel=0.01)
    assert run.hours == run.device_hours / 8
    assert run.cost == pytest.approx(2000, rel=0.01)
    assert hours.question.flops == pytest.approx(1000 * 3600 * 312e12 * hours.assumptions["utilization"])


def test_a_device_by_name_brings_its_peak_and_memory():
    section = PlanScalingSection(device="h100-80gb", device_memory_bytes=10**10)
    assert (section.device_flops_per_s, section.device_memory_bytes) == (989.4e12, 10**10)
    assert PlanScalingSection.model_validate(section.model_dump()) == section
    with pytest.raises(ValidationError, match="device"):
        PlanScalingSection(device="h100")


def test_small_models_use_a_device_less():
    def share(params, **given):
        return choose_utilization(PlanScalingSection(**given), params)

    assert share(1e8, device="a100-40gb").value == 0.399
    assert share(3e9, device="a100-40gb").value == 0.56
    assert share(1e12, device="h100-80gb").value == 0.424
    assert "median of 5 published runs of 1.25e+08 parameters" in share(1e8, device="a100-40gb").reason
    assert share(1e9, device="mi300x").value == share(1e9).value == 0.4
    assert share(1e9, device="a100-40gb", utilization=0.3).value == 0.3


def test_time_and_cost_have_rows():
    answer = plan({"params": 13 * 10**8, "device": "h100-80gb", "num_devices": 8, "price_per_device_hour": 2.5})
    rows = {row.name: row for row in describe_plan(answer)}
    assert rows["cost"].value == f"{answer.recommended.cost:,.2f}"
    assert "device hours at 2.5 each" in rows["cost"].reason
    assert rows["time"].reason.startswith("8 devices of 9.894e+14 FLOPs/s at 40.9% of it")
    assert {row.name: row for row in describe_plan(plan({"params": 10**9}))}["cost"].value == "unknown"
