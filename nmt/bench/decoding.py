"""`nmt bench decode`: the translation speed of a model."""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import Tensor, nn

from nmt.bench import peak_memory
from nmt.bench.ceiling import synchronise
from nmt.bench.clock import Instant, Span, quiet
from nmt.decoding.translator import Translation, Translator
from nmt.errors import UserError
from nmt.text.special_tokens import EOS

_UNLIKELY = -1e4  # logit of EOS; finite also in float16, so that EOS can still be forced


@dataclass(frozen=True)
class DecodingSpeed:
    """The measured translation speed: the median over quiet rounds, or over all if none is quiet.

    Attributes:
        model: Name of the model.
        sentences: Number of sentences per round.
        beam_size: Hypotheses per sentence.
        batch_size: Number of sentences searched together.
        exact: Forced length of each translation in pieces, without EOS; None: not forced.
        precision: Dtype of matrix products.
        device: Device of the model.
        rounds: Number of all rounds.
        quiet_rounds: Number of quiet rounds.
        sentences_per_second: Sentences per second, with tokenization and detokenization.
        tokens_per_second: Pieces per second of the best translations, EOS included.
        mean_length: Mean length of a translation in pieces, EOS included.
        peak_memory: Peak bytes of the process, or on the CUDA device.
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
) -> DecodingSpeed:
    """Translate sentences several times, after a warm-up batch that is not measured.

    Args:
        model: Name of the model, for the report.
        translator: The model and its search.
        sentences: At least one.
        rounds: Number of rounds, at least one.
        exact: Forced length of each translation, without EOS, so that all models do equal work;
            None: not forced.

    Raises:
        UserError: There is no sentence, or a translation has another length than ``exact``.
    """
    nonblank = [sentence for sentence in sentences if sentence.strip()]
    if not nonblank:
        raise UserError("there is no sentence to translate")
    device = translator.model.output.weight.device
    translator.model.eval()
    peak_memory.reset_peak(device)
    with exact_length(translator, exact) as bound:
        bound.translate(nonblank[: bound.decoding.batch_size])
        found, spans = [], []
        for _ in range(rounds):
            synchronise(device)
            began = Instant.now()
            found = bound.translate(nonblank)
            synchronise(device)
            spans.append(Span(began, Instant.now()))
    quiet_spans = [span for span in spans if all(quiet([span]))]
    seconds = statistics.median(span.seconds for span in quiet_spans or spans)
    pieces = _pieces(found, exact)
    return DecodingSpeed(
        model=model,
        sentences=len(nonblank),
        beam_size=translator.decoding.beam_size,
        batch_size=translator.decoding.batch_size,
        exact=exact,
        precision=str(translator.precision).removeprefix("torch."),
        device=str(device),
        rounds=rounds,
        quiet_rounds=len(quiet_spans),
        sentences_per_second=len(nonblank) / seconds,
        tokens_per_second=pieces / seconds,
        mean_length=pieces / len(nonblank),
        peak_memory=peak_memory.peak(device),
    )


def _pieces(found: Sequence[Translation], exact: int | None) -> int:
    lengths = [len(translation.hypotheses[0].ids) for translation in found]
    if exact is not None and (other := set(lengths) - {exact}):
        raise UserError(
            f"--exact {exact}: translations end after {min(other)} pieces; use a smaller number, "
            "or a configuration without another limit on the length"
        )
    return sum(lengths) + len(lengths)


@contextmanager
def exact_length(translator: Translator, pieces: int | None) -> Iterator[Translator]:
    """Yield a translator whose translations all have ``pieces`` pieces before EOS.

    The logit of EOS is so low that only the length limit can produce EOS. None: the translator
    itself.
    """
    if pieces is None:
        yield translator
        return

    def discourage(_module: nn.Module, _inputs: Any, logits: Tensor) -> None:
        logits[..., EOS] = _UNLIKELY

    decoding = replace(translator.decoding, max_length_ratio=0.0, max_length_extra=pieces + 1)
    hook = translator.model.output.register_forward_hook(discourage)
    try:
        bound = Translator(translator.model, translator.tokenizers, decoding, translator.precision)
        bound.by_sentences, bound.shortlist = translator.by_sentences, translator.shortlist
        yield bound
    finally:
        hook.remove()
