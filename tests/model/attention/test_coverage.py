"""Coverage compared with its formulas, in float64. Legend: B batch, T steps, S states."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from nmt.config.model import ModelConfig
from nmt.data.batches.batch import Batch
from nmt.model.attention.additive import AdditiveAttention
from nmt.model.attention.coverage import Coverage
from nmt.model.recurrent.rnn_decoder import RnnDecoder, RnnState
from nmt.model.seq2seq import TranslationModel

A, Q, M = 5, 4, 6


@pytest.mark.parametrize("fertile", [False, True], ids=["sum", "fertility"])
def test_coverage_equals_its_formula(*, fertile: bool) -> None:
    attention = AdditiveAttention(Q, M, A).double()
    coverage = Coverage(M, A, fertile=fertile).double()
    states = torch.randn(2, 3, M, dtype=torch.float64)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    queries = torch.randn(4, 2, 1, Q, dtype=torch.float64)
    W, U = attention.query_projection.weight, attention.key_projection.weight
    b, v = attention.key_projection.bias, attention.score_vector.weight[0]
    w_c = coverage.projection.weight[:, 0]
    with torch.no_grad():
        phi = torch.ones(2, 3, dtype=torch.float64)
        if coverage.fertility is not None:
            phi = 2 * torch.sigmoid(states @ coverage.fertility.weight[0])
        attended = torch.zeros(2, 3, dtype=torch.float64)
        memory, state = attention.build_memory(states, mask), coverage.start(states, mask)
        for query in queries:
            scores = torch.full((2, 3), float("-inf"), dtype=torch.float64)
            for i in range(2):
                for s in range(3):
                    if mask[i, s]:
                        told = w_c * attended[i, s]
                        scores[i, s] = v @ torch.tanh(W @ query[i, 0] + U @ states[i, s] + b + told)
            weights = scores.softmax(dim=1)
            attended = attended + weights / phi
            seen = attention(query, memory, None, coverage(state))
            assert seen.weights is not None
            state = coverage.advance(state, seen.weights)
            torch.testing.assert_close(seen.weights[:, 0], weights, rtol=0, atol=1e-6)
            torch.testing.assert_close(state.attended[:, 0], attended, rtol=0, atol=1e-6)


def test_the_gradient_runs_through_all_steps() -> None:
    attention = AdditiveAttention(Q, M, A).double()
    coverage = Coverage(M, A, fertile=True).double()
    mask = torch.tensor([[True, True, True], [True, True, False]])
    queries = torch.randn(2, 3, Q, dtype=torch.float64, requires_grad=True)
    states = torch.randn(2, 3, M, dtype=torch.float64, requires_grad=True)

    def last_context(queries: torch.Tensor, states: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
        memory, state = attention.build_memory(states, mask), coverage.start(states, mask)
        seen = None
        for query in queries.split(1, dim=1):
            seen = attention(query, memory, None, coverage(state))
            assert seen.weights is not None
            state = coverage.advance(state, seen.weights)
        assert seen is not None
        return seen.context

    inputs = (queries, states, *attention.parameters(), *coverage.parameters())
    assert torch.autograd.gradcheck(last_context, inputs)


@pytest.mark.parametrize("attention", ["bahdanau", "luong_concat"])
def test_earlier_attention_changes_the_next_weights(
    tiny_config: Callable[..., ModelConfig],
    tiny_model: Callable[..., TranslationModel],
    ragged_batch: Batch,
    attention: str,
) -> None:
    model = tiny_model(tiny_config(attention=attention, coverage="sum"))
    assert isinstance(model.decoder, RnnDecoder)
    previous = ragged_batch.target_input_ids[:, 0]
    with torch.no_grad():
        state = model.start(model.encode(ragged_batch.source_ids, ragged_batch.source_mask))
        assert isinstance(state, RnnState)
        assert state.coverage is not None
        other = replace(state.coverage, attended=torch.rand_like(state.coverage.attended))
        _, weights, _ = model.step(previous, state, need_weights=True)
        _, changed, _ = model.step(previous, replace(state, coverage=other), need_weights=True)
    assert weights is not None
    assert changed is not None
    assert (changed - weights).abs().max() > 1e-4
