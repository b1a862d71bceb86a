"""`nmt bench decode`: how fast a model translates."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor, nn

from nmt.bench import memory
from nmt.bench.ceiling import synchronise
from nmt.bench.clock import Instant, Span, quiet
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.text.special_tokens import EOS

_UNLIKELY = -1e9  # what a logit becomes; finite, so that EOS can still be forced at the limit


@dataclass(frozen=True)
class Decoded:
    """How fast sentences were translated; the median over rounds, quiet ones where there are any.

    Attributes:
        model: What was asked for.
        sentences: In a round.
        beam_size: Hypotheses kept.
        batch_size: Sentences searched together.
        exact: Pieces that every translation was made to have; None: as many as it wanted.
        precision: Of products.
        device: Where.
        rounds: All of them.
        quiet_rounds: Those that were quiet.
        sentences_per_second: Tokenisation and detokenisation included.
        tokens_per_second: Pieces of the best translations, EOS counted.
        mean_length: Likewise, of one translation.
        peak_memory: Bytes, all of the process or on the CUDA device.
    """

    model: str
    sentences: int
    beam_size: int
    batch_size: int
    exact: int | None
    precision: str
    device: str
    rounds: int
    quiet_rounds: int
    sentences_per_second: float
    tokens_per_second: float
    mean_length: float
    peak_memory: int

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)


def bench_decoding(
    model: str, translator: Translator, sentences: Sequence[str], rounds: int, exact: int | None
) -> Decoded:
    """Translate sentences several times, after a first batch that does not count.

    Args:
        model: What to call it.
        translator: The model and its search.
        sentences: At least one.
        rounds: At least one.
        exact: Pieces before EOS of every translation, so that any model does equal work.

    Raises:
        UserError: There is nothing to translate.
    """
    spoken = [sentence for sentence in sentences if sentence.strip()]
    if not spoken:
        raise UserError("there is no sentence to translate")
    device = translator.model.output.weight.device
    translator.model.eval()
    memory.forget_peak(device)
    with _exact_length(translator, exact) as bound:
        bound.translate(spoken[: bound.decoding.batch_size])
        found, spans = [], []
        for _ in range(rounds):
            synchronise(device)
            began = Instant.now()
            found = bound.translate(spoken)
            synchronise(device)
            spans.append(Span(began, Instant.now()))
    calm = [span for span in spans if all(quiet([span]))]
    seconds = statistics.median(span.seconds for span in calm or spans)
    pieces = _pieces(found, exact)
    return Decoded(
        model=model,
        sentences=len(spoken),
        beam_size=translator.decoding.beam_size,
        batch_size=translator.decoding.batch_size,
        exact=exact,
        precision=str(translator.precision).removeprefix("torch."),
        device=str(device),
        rounds=rounds,
        quiet_rounds=len(calm),
        sentences_per_second=len(spoken) / seconds,
        tokens_per_second=pieces / seconds,
        mean_length=pieces / len(spoken),
        peak_memory=memory.peak(device),
    )


def _pieces(found: Sequence[Translation], exact: int | None) -> int:
    lengths = [len(translation.hypotheses[0].ids) for translation in found]
    if exact is not None and (other := set(lengths) - {exact}):
        raise UserError(
            f"--exact {exact}: translations end after {min(other)} pieces; take a smaller number, "
            "or a configuration without another limit on their length"
        )
    return sum(lengths) + len(lengths)


@contextmanager
def _exact_length(translator: Translator, pieces: int | None) -> Iterator[Translator]:
    """Yield a translator whose search ends each translation after so many pieces, and not before.

    EOS is made so unlikely that nothing but the limit can bring it about.
    """
    if pieces is None:
        yield translator
        return

    def discourage(_module: nn.Module, _inputs: Any, logits: Tensor) -> None:
        logits[..., EOS] = _UNLIKELY

    decoding = replace(translator.decoding, max_length_ratio=0.0, max_length_extra=pieces + 1)
    hook = translator.model.output.register_forward_hook(discourage)
    try:
        yield Translator(translator.model, translator.tokenizers, decoding, translator.precision)
    finally:
        hook.remove()
