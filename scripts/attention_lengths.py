"""Time and memory of each kind of self-attention against the length of a sentence.

A kind is one layer's self-attention with its projections: 256 units and 4 heads, one sentence,
float32, on the CPU. A training pass is a forward and a backward pass. Its memory is the greatest
number of bytes that tensors take during the pass, without the parameters and the input; every
allocation is counted. A step of search is a step of a decoder with one beam, after a number of
target pieces. Its memory is the state that the layer keeps for the next step.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.autograd.profiler import profile

from nmt.config.model import TransformerDecoderConfig, TransformerEncoderConfig
from nmt.config.self_attention import LIMITS, SelfAttention
from nmt.kernels.attention.attention_mask import AttentionMask
from nmt.model.attention.memory import AttentionMemory
from nmt.model.attention.multi_head import MultiHeadAttention
from nmt.model.attention.relative import RelativePositions
from nmt.model.self_attention.kinds import KINDS
from nmt.model.self_attention.target_memory import FixedMemory, GrowingMemory

SIZE, HEADS = 256, 4
COMPLEXITY = {
    "full": "O(n² d)",
    "full, torch's kernel": "O(n² d)",
    "full, explicit": "O(n² d)",
    "cosine": "O(n² d)",
    "local": "O(n w d)",
    "strided": "O(n (l + n / l) d)",
    "fixed": "O(n (l + n c / l) d)",
    "random_global": "O(n (3 + g + r) b d)",
    "linear": "O(n d² / H)",
    "favor": "O(n m d)",
    "low_rank": "O(n k d)",
    "lsh": "O(n log n d)",
    "adaptive_span": "O(n (z + R) d)",
}
QUADRATIC_LIMIT = 8192
"""Longest sentence for the kinds whose memory is quadratic."""


@dataclass(frozen=True)
class Cost:
    """The cost of a pass over a sentence of one length."""

    length: int
    milliseconds: float
    mebibytes: float


def attention_of(name: str, *, decoder: bool) -> MultiHeadAttention:
    """Return one layer's attention of a kind."""
    torch.manual_seed(1)
    kind = SelfAttention(name.split(",")[0])
    config_class = TransformerDecoderConfig if decoder else TransformerEncoderConfig
    config = config_class(hidden_size=SIZE, num_heads=HEADS, self_attention=kind)
    if kind is SelfAttention.FULL:
        return MultiHeadAttention(SIZE, SIZE, HEADS, 0.0)
    attention = KINDS[kind].of(config)
    for parameter in attention.parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=parameter.size(1) ** -0.5)
    return attention


def training_pass(attention: MultiHeadAttention, name: str, states: Tensor, decoder: bool) -> None:
    """Run forward and backward over states [1, T, D]."""
    length = states.size(1)
    mask = AttentionMask.causal(length, states.device)
    if not decoder:
        mask = AttentionMask(torch.ones(1, 1, 1, length, dtype=torch.bool))
    memory = attention.build_memory(states, mask)
    if name == "full, torch's kernel":
        attended = torchs_kernel(attention, states, memory, decoder)
    else:
        attended = attention(states, memory, need_weights="explicit" in name).context
    attended.sum().backward()
    attention.zero_grad(set_to_none=True)
    states.grad = None


def torchs_kernel(
    attention: MultiHeadAttention, states: Tensor, memory: AttentionMemory, decoder: bool
) -> Tensor:
    """Compute full attention by torch's fused kernel, without a mask of all pairs."""
    heads = attention.queries(attention.query_projection(states))
    context = torch.nn.functional.scaled_dot_product_attention(
        heads, memory.keys, memory.values, is_causal=decoder
    )
    return attention.output_projection(context.transpose(1, 2).flatten(2))


def search_step(attention: MultiHeadAttention, length: int) -> tuple[Callable[[], object], int]:
    """Return a step of search, one beam, after ``length`` target pieces, and its state in bytes.

    The state is what the layer keeps from step to step: keys and values, or sums of them.
    """
    attention.eval()
    width = SIZE // HEADS
    source = AttentionMemory(torch.zeros(1, HEADS, 1, width), torch.zeros(1, HEADS, 1, width), None)
    start = getattr(attention, "start_memory", GrowingMemory.of)
    memory = start([source], torch.zeros(1, dtype=torch.long))
    memory = memory.reserve(length + 1)
    if isinstance(memory, FixedMemory):  # all slots are in use
        memory = replace(memory, seen=torch.zeros_like(memory.seen))
    memory = replace(memory, position=torch.tensor([length]))
    states = torch.randn(1, 1, SIZE)

    def step() -> Tensor:
        opened = memory.open()
        positions = RelativePositions(in_step=(opened.position, opened.key_positions))
        seen = opened.write(0, attention.build_memory(states, None))
        context: Tensor = attention(states, seen, need_weights=False, positions=positions).context
        return context

    return step, sum(buffer.nbytes for buffer in memory.buffers)


def peak_bytes(work: Callable[[], object]) -> int:
    """Return the greatest number of bytes that were allocated at once."""
    with profile(use_cpu=True, profile_memory=True) as recorded:
        work()
    events = [e for e in recorded.kineto_results.events() if e.name() == "[memory]"]
    total = peak = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        total += event.nbytes()
        peak = max(peak, total)
    return peak


def seconds(work: Callable[[], object], rounds: int) -> float:
    """Return the shortest processor time of some rounds, because other programs only add to it."""
    work()
    times = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times)


def training_costs(
    name: str, lengths: Sequence[int], rounds: int, *, decoder: bool
) -> Iterator[Cost]:
    """Yield the cost of a training pass at each length."""
    attention = attention_of(name, decoder=decoder).train()
    for length in lengths:
        if name.startswith(("full", "cosine")) and length > QUADRATIC_LIMIT:
            return
        states = torch.randn(1, length, SIZE, requires_grad=True)

        def work(states: Tensor = states) -> None:
            training_pass(attention, name, states, decoder)

        taken = seconds(work, rounds if length < QUADRATIC_LIMIT else 1)
        yield Cost(length, 1e3 * taken, peak_bytes(work) / 2**20)


def search_costs(name: str, lengths: Sequence[int], rounds: int) -> Iterator[Cost]:
    """Yield the cost of a step of search after each number of target pieces."""
    attention = attention_of(name, decoder=True)
    with torch.inference_mode():
        for length in lengths:
            step, state = search_step(attention, length)
            yield Cost(length, 1e3 * seconds(step, 5 * rounds), state / 2**20)


def exponent(costs: Sequence[Cost], value: Callable[[Cost], float]) -> str:
    """Return the slope of the logarithm of the cost over that of the length, by least squares.

    With fewer than two lengths there is none, and the result is a dash.
    """
    if len({cost.length for cost in costs}) < 2:
        return "-"
    x = [math.log(cost.length) for cost in costs]
    y = [math.log(max(value(cost), 1e-9)) for cost in costs]
    return f"{statistics.linear_regression(x, y).slope:.2f}"


def _rounded(value: float) -> str:
    """Return a number as text with three significant digits, without an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def is_searched(name: str) -> bool:
    """Return whether a decoder can have this kind; only one form of full attention is measured."""
    return "," not in name and LIMITS[SelfAttention(name)].decoder


def table(names: Sequence[str], lengths: Sequence[int], rounds: int, search: bool) -> Iterator[str]:
    """Yield the lines of a Markdown table: milliseconds and MiB at each length, and exponents."""
    heads = [f"{length:,}" for length in lengths]
    yield f"| kind | complexity | {' | '.join(heads)} | exponent of time, of memory |"
    yield f"|---|---|{'--:|' * (len(lengths) + 1)}"
    for name in names:
        if search and not is_searched(name):
            continue
        decoder = LIMITS[SelfAttention(name.split(",")[0])].decoder
        costs = list(
            search_costs(name, lengths, rounds)
            if search
            else training_costs(name, lengths, rounds, decoder=decoder)
        )
        cells = [
            f"{_rounded(cost.milliseconds)} ms, {_rounded(cost.mebibytes)} MiB" for cost in costs
        ]
        cells += ["-"] * (len(lengths) - len(cells))
        slopes = ", ".join(
            exponent(costs, value)
            for value in (lambda cost: cost.milliseconds, lambda cost: cost.mebibytes)
        )
        yield f"| `{name}` | {COMPLEXITY[name]} | {' | '.join(cells)} | {slopes} |"
