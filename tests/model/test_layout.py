import pytest
import torch

from llmforge.arch.presets import PRESETS
from llmforge.model import layout
from llmforge.model.transformer import Transformer

NANO = [name for name in PRESETS if name.endswith("nano")]


@pytest.mark.parametrize("name", NANO)
def test_every_parameter_has_one_place_in_the_layout(name):
    with torch.device("meta"):
        model = Transformer(PRESETS[name])
    in_block = layout.COLUMN_SPLIT + layout.ROW_SPLIT + layout.REPLICATED
    outside = layout.FIRST_STAGE + layout.LAST_STAGE
    for parameter in dict(model.named_parameters(remove_duplicate=False)):
        module = parameter.rpartition(".")[0]
        if module.startswith(f"{layout.BLOCKS}."):
            _, _, module = module.split(".", 2)
            assert in_block.count(module) == 1, parameter
        else:
            assert outside.count(module) == 1, parameter


def test_tied_names_are_the_ones_that_share_a_parameter():
    with torch.device("meta"):
        model = Transformer(PRESETS["gpt2-nano"])
    every, once = dict(model.named_parameters(remove_duplicate=False)), dict(model.named_parameters())
    assert {name: next(n for n in once if once[n] is every[name]) for name in every.keys() - once.keys()} == layout.TIED


@pytest.mark.parametrize("name", NANO)
def test_a_model_cut_in_two_computes_what_the_whole_computes(name):
    torch.manual_seed(0)
    whole = Transformer(PRESETS[name]).eval()
    first, last = Transformer(PRESETS[name]).eval(), Transformer(PRESETS[name]).eval()
    for stage in (first, last):
        stage.load_state_dict(whole.state_dict())
    for part in layout.LAST_STAGE:
        setattr(first, part, None)
    for part in layout.FIRST_STAGE:
        setattr(last, part, None)
    del first.blocks["1"], last.blocks["0"]
    assert set(last.blocks) == {"1"}  # names survive the cut
    tokens = torch.arange(24)[None]
    with torch.no_grad():
        torch.testing.assert_close(last(first(tokens)), whole(tokens), atol=0, rtol=0)
        torch.testing.assert_close(last(first(tokens), tokens), whole(tokens, tokens), atol=0, rtol=0)
