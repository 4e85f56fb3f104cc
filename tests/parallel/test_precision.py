import pytest
import torch

from llmforge.arch.presets import PRESETS
from llmforge.parallel import precision
from llmforge.parallel.precision import calibrate
from llmforge.parallel.process_group import join_world


def test_the_real_model_is_timed_in_both():
    choice = calibrate(PRESETS["gpt2-nano"], micro_batch_sequences=1, world=join_world({}))
    assert choice.seconds.keys() == {"fp32", "bf16"}
    assert min(choice.seconds.values()) > 0
    faster = choice.seconds["bf16"] * 1.1 < choice.seconds["fp32"]
    assert choice.precision == ("bf16" if faster else "fp32")


@pytest.mark.parametrize(("bf16_s", "expected"), [(0.5, "bf16"), (0.95, "fp32"), (2.0, "fp32")])
def test_bf16_has_to_be_clearly_faster(monkeypatch, bf16_s, expected):
    monkeypatch.setattr(precision, "pass_seconds", lambda _, tokens, name, **kw: {"fp32": 1.0, "bf16": bf16_s}[name])
    choice = calibrate(PRESETS["gpt2-nano"], micro_batch_sequences=1, world=join_world({}))
    assert choice.precision == expected
    assert choice.reason == f"a pass takes 1 s in fp32 and {bf16_s:.3g} s in bf16 on this cpu"


@pytest.mark.parametrize(
    ("passes_s", "timed", "expected"),
    [
        ((9.7, 9.7, 9.7, 9.7), 1, 9.7),  # one pass is enough to see that it does not pay
        ((7.9, 0.5, 0.6, 0.4), 4, 0.5),  # a warm-up may take its time
        ((7.9, 9.0, 9.0, 9.0), 2, 9.0),
        ((3.0, 2.0, 2.5, 3.0), 4, 2.5),
    ],
)
def test_a_pass_that_takes_many_times_as_long_is_the_last(monkeypatch, passes_s, timed, expected):
    model, clock_s = torch.nn.Linear(1, 1), [0.0]
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock_s[-1])

    def forward(tokens, targets):
        clock_s.append(clock_s[-1] + passes_s[len(clock_s) - 1])
        return model.weight.sum()

    monkeypatch.setattr(model, "forward", forward)
    tokens_BT = torch.zeros(1, 1, dtype=torch.int64)
    assert precision.pass_seconds(model, tokens_BT, "fp32", beside_s=1.0) == pytest.approx(expected)
    assert len(clock_s) - 1 == timed


def test_a_model_that_no_device_holds_whole_trains_in_bf16_unmeasured(monkeypatch):
    def fail(model, tokens, name):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(precision, "pass_seconds", fail)
    choice = calibrate(PRESETS["gpt2-nano"], micro_batch_sequences=1, world=join_world({}))
    assert (choice.precision, choice.seconds) == ("bf16", {})
    assert choice.reason == "one cpu does not hold the whole model, so that no pass was timed"


def test_a_gpu_without_bf16_computes_in_fp16(monkeypatch):
    assert precision.half_precision(torch.device("cpu")) == "bf16"
    for supported, expected in ((True, "bf16"), (False, "fp16")):
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation, known=supported: known)
        assert precision.half_precision(torch.device("cuda", 0)) == expected
