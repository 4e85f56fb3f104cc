"""DeepSpeed's memory estimates, and published FLOPs and utilisation."""

import csv
import os
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from llmforge.arch.flops import flops_per_token
from llmforge.arch.params import count_parameters
from llmforge.arch.presets import preset
from llmforge.arch.zero_estimates import estimate_zero2, estimate_zero3
from llmforge.plan_scaling.utilization import PUBLISHED

GIB = 2**30
LAYERS_AND_WIDTHS = {
    "125m": (12, 768),
    "350m": (24, 1024),
    "760m": (24, 1536),
    "1b": (24, 2048),
    "3b": (32, 2560),
    "7b": (32, 4096),
    "13b": (40, 5120),
    "30b": (48, 7168),
    "70b": (80, 8192),
}

SIZES = dict(zip(LAYERS_AND_WIDTHS, (125e6, 350e6, 760e6, 1.3e9, 2.7e9, 6.7e9, 13e9, 30e9, 70e9), strict=True))


def test_deepspeed_estimates_of_its_documentations_model():
    """2,851M parameters, the largest layer of 32M, 8 devices of one node: GiB as DeepSpeed prints them."""
    params, largest = 2_851_000_000, 32_000_000
    plain, offload = estimate_zero2(params, 8, offload=False), estimate_zero2(params, 8, offload=True)
    assert plain.device / GIB == pytest.approx(11.28, abs=0.01)
    assert offload.device / GIB == pytest.approx(5.31, abs=0.01)
    assert offload.host / GIB == pytest.approx(127.45, abs=0.02)
    third = estimate_zero3(params, largest, 8, offload=False)
    optimizer = estimate_zero3(params, largest, 8, offload=True)
    everything = estimate_zero3(params, largest, 8, offload=True, offload_params=True)
    assert third.device / GIB == pytest.approx(6.09, abs=0.01)
    assert (optimizer.device / GIB, optimizer.host / GIB) == (
        pytest.approx(0.78, abs=0.01),
        pytest.approx(63.72, abs=0.02),
    )
    assert (everything.device / GIB, everything.host / GIB) == (
        pytest.approx(0.12, abs=0.01),
        pytest.approx(71.69, abs=0.02),
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("devices", [1, 8])
def test_estimates_are_those_of_the_installed_deepspeed(devices):
    pytest.importorskip("deepspeed")
    from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as third
    from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as second

    params = 6_738_415_616
    for offload in (False, True):
        host, device = second(params, devices, 1, cpu_offload=offload)
        ours = estimate_zero2(params, devices, offload=offload)
        assert (ours.device, ours.host) == (pytest.approx(device, rel=1e-6), pytest.approx(host, rel=1e-6))
        host, device, _ = third(params, 131_072_000, devices, 1, cpu_offload=offload, cpu_offload_params=False)
        mine = estimate_zero3(params, 131_072_000, devices, offload=offload)
        assert (mine.device, mine.host) == (pytest.approx(device, rel=1e-6), pytest.approx(host, rel=1e-6))


def test_palms_utilisation_follows_from_its_throughput():
    """Chowdhery et al. 2022, table 3: 238.3 thousand tokens/s on 6,144 chips of 275e12 FLOPs/s is 46.2 %."""
    flops = flops_per_token(preset("palm-540b"))
    assert 238.3e3 * flops.palm / (6144 * 275e12) == pytest.approx(0.462, abs=0.0005)
    assert 238.3e3 * flops.six_n / (6144 * 275e12) == pytest.approx(0.457, abs=0.0005)


def test_gpt3s_printed_flops():
    """Brown et al. 2020, table D.1: 3.14e23 FLOPs for 300 billion tokens."""
    assert flops_per_token(preset("gpt3-175b")).six_n * 300e9 == pytest.approx(3.14e23, rel=0.002)


def test_a_causal_mask_needs_half_the_scores():
    arch = preset("gpt2")
    flops, count = flops_per_token(arch), count_parameters(arch)
    full = 12 * arch.layers * arch.dim * arch.context
    assert flops.palm - flops.six_n == full
    assert flops.by_layer - 6 * count.multiplied == pytest.approx(full / 2, rel=0.001)


def test_bands_need_fewer_scores_than_full_attention():
    banded = preset("gpt3-125m")
    assert flops_per_token(banded).by_layer < flops_per_token(replace(banded, band_tokens=None)).by_layer


def throughput_rows():
    folder = os.environ.get("LLMFORGE_TEST_DATA")
    path = Path(folder or "") / "scaling" / "throughput" / "llm_foundry_mpt_throughput.csv"
    if not folder or not path.exists():
        pytest.skip("needs the throughput table of the test data: set LLMFORGE_TEST_DATA")
    with open(path, newline="") as file:
        return [row for row in csv.DictReader(file) if row["Precision"] != "amp_fp8"]


def test_throughput_table_gives_its_own_utilisation():
    """llm-foundry's table: 209 bf16 rows, from its parameters, layers, width and context by the rule of PaLM."""
    rows = throughput_rows()
    ratios = []
    for row in rows:
        layers, dim = LAYERS_AND_WIDTHS[row["Model"]]
        arch = replace(preset("gpt2"), layers=layers, dim=dim, heads=dim // 64, context=int(row["SeqLen (T)"]))
        flops = flops_per_token(arch)
        attention = flops.palm - flops.six_n
        peak = 989.4e12 if row["GPU"].startswith("h100") else 312e12
        used = (6 * float(row["NumParams"]) + attention) * float(row["Throughput (T/s/GPU)"]) / peak
        ratios.append(100 * used / float(row["MFU"]))
    assert len(ratios) == 209
    assert median(ratios) == pytest.approx(1.0, abs=1e-4)
    assert 0.997 < min(ratios) <= max(ratios) < 1.001


def test_the_published_shares_are_the_medians_of_that_table():
    """Every cell that a plan falls back on: device and size, median share and number of runs."""
    rows = throughput_rows()
    cells = {}
    for row in rows:
        if row["SeqLen (T)"] == "2048":
            cells.setdefault((row["GPU"].replace("_", "-"), row["Model"]), []).append(float(row["MFU"]) / 100)
    assert len(cells) == sum(map(len, PUBLISHED.values())) == 25
    for (device, model), shares in cells.items():
        share, num_runs = PUBLISHED[device][SIZES[model]]
        assert (share, num_runs) == (pytest.approx(median(shares), abs=0.001), len(shares)), (device, model)
