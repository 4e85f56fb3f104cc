"""Under a document mask, what a packed row gives for each document is what the document gives alone."""

import pytest
import torch

from llmforge.arch.presets import resolve_architecture
from llmforge.config.model import ModelSection
from llmforge.model.init import initialise
from llmforge.model.loss import IGNORE
from llmforge.model.positions import places_in_documents
from llmforge.model.transformer import Transformer

LENGTHS = (7, 1, 12, 4)  # 24 of 28 places; the rest is padding
CONTEXT, PADDING = 28, -1
# Learned positions, learned with bands, rotary, rotary in parallel blocks, ALiBi.
FAMILIES = ["gpt2", "gpt3", "llama2", "palm", "bloom"]


def model_of(family: str) -> Transformer:
    arch = resolve_architecture(ModelSection(preset=f"{family}-nano", context=CONTEXT, dropout=0.0), vocab_size=97)
    model = Transformer(arch)
    initialise(model, arch, seed=3)
    with torch.no_grad():  # the first scores are small: make attention look somewhere
        for name, parameter in model.named_parameters():
            if name.endswith(("q.weight", "k.weight")):
                parameter *= 8
    return model


def packed_row() -> tuple[torch.Tensor, torch.Tensor, list[slice]]:
    tokens = torch.randint(97, (1, CONTEXT), generator=torch.Generator().manual_seed(1))
    documents = torch.full((1, CONTEXT), PADDING)
    places, start = [], 0
    for number, length in enumerate(LENGTHS):
        places.append(slice(start, start + length))
        documents[0, places[-1]] = number
        start += length
    return tokens, documents, places


def test_places_begin_anew_with_each_document() -> None:
    documents = torch.tensor([[0, 0, 0, 1, 1, PADDING], [4, 5, 5, 5, 5, 5]])
    assert places_in_documents(documents).tolist() == [[0, 1, 2, 0, 1, 0], [0, 0, 1, 2, 3, 4]]


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_those_of_each_document_alone(family: str) -> None:
    model, (tokens, documents, places) = model_of(family), packed_row()
    with torch.no_grad():
        packed = model(tokens, documents_BT=documents)
        unmasked = model(tokens)
        for place in places:
            torch.testing.assert_close(packed[:, place], model(tokens[:, place]), rtol=1e-4, atol=1e-5)
    assert not torch.allclose(packed[:, places[2]], unmasked[:, places[2]], atol=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_losses_and_gradients_add_up_to_those_of_the_documents(family: str) -> None:
    tokens, documents, places = packed_row()
    targets = tokens.roll(-1, dims=1)
    targets[documents == PADDING] = IGNORE
    packed, alone = model_of(family), model_of(family)
    loss = packed(tokens, targets, documents_BT=documents)
    loss.backward()
    losses = [alone(tokens[:, place], targets[:, place]) for place in places]
    sum(losses).backward()
    assert loss.item() == pytest.approx(sum(one.item() for one in losses), rel=1e-5)
    for (name, one), other in zip(packed.named_parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-3, atol=1e-4, msg=name)


def test_rows_of_a_batch_have_masks_of_their_own() -> None:
    model, (tokens, documents, _) = model_of("llama2"), packed_row()
    with torch.no_grad():
        both = model(tokens.repeat(2, 1), documents_BT=torch.cat([documents, torch.zeros_like(documents)]))
        torch.testing.assert_close(both[:1], model(tokens, documents_BT=documents))
        torch.testing.assert_close(both[1:], model(tokens))


def test_bf16_on_a_cpu_masks_as_well() -> None:
    model, (tokens, documents, places) = model_of("bloom"), packed_row()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        packed = model(tokens, documents_BT=documents)
        torch.testing.assert_close(packed[:, places[2]], model(tokens[:, places[2]]), rtol=0.05, atol=0.05)
