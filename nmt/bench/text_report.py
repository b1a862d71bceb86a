"""What was measured, as tables for people."""

from collections.abc import Iterable, Sequence

from nmt.bench.contestant import PHASES
from nmt.bench.decoding import Decoded
from nmt.bench.training import Compared, Measured

_GIGA, _GIB = 1e9, 2**30
_OPERATIONS = 15  # of a profile, shown


def training_table(results: Sequence[Measured]) -> str:
    """Show one training, or two side by side."""
    found = [_training_rows(result) for result in results]
    rows = [(name, *(own[name] for own in found)) for name in found[0]]
    head = [("", "A", "B")] if len(results) == 2 else []
    return _aligned(head + rows)


def _training_rows(result: Measured) -> dict[str, str]:
    speed, counts = result.speed, result.speed.counts
    update = sum(speed.phases.values())
    rows = {
        "parameters": f"{result.parameters:,}",
        "products in": f"{result.precision}, on {result.device}, threads {result.threads}",
        "updates": f"{speed.updates:,}, {speed.quiet_updates:,} of them quiet"
        + ("" if speed.others is None else f" (others took {speed.others:.2f} of a core)"),
        "target tokens/s": f"{speed.tokens_per_second:,.0f}  without pads, median of windows",
        "": f"{speed.mean_tokens_per_second:,.0f}  all of them over all the time",
        "an update": f"{speed.seconds / _counted(result):.3f} s, "
        f"{counts.target_tokens / _counted(result):,.0f} target tokens",
        "padding": f"target {counts.target_padding:.1%}, source {counts.source_padding:.1%}",
        "time": ", ".join(f"{name} {speed.phases[name] / update:.1%}" for name in PHASES),
    }
    if result.validation is not None:
        own = result.validation
        rows["validation"] = (
            f"{own.seconds:.1f} s every {own.every:,} updates, {own.share:.1%} of a run, "
            "by a model of so few updates"
        )
    if result.peak_memory is not None:
        before = result.memory_before
        rows["peak memory"] = f"{result.peak_memory / _GIB:.2f} GiB" + (
            "" if before is None else f", {before / _GIB:.2f} before the first update"
        )
    ceiling = result.ceiling
    reached = result.ceiling_share * ceiling.flop_per_second / _GIGA
    rates = ", ".join(f"{shape}: {rate / _GIGA:,.0f}" for shape, rate in ceiling.rates.items())
    return rows | {
        "operations": f"{result.flop_per_token / 1e6:.1f} MFLOP a target token",
        "ceiling": f"{ceiling.flop_per_second / _GIGA:,.0f} GFLOP/s  ({rates})",
        "share of it": f"{result.ceiling_share:.1%}  ({reached:,.0f} GFLOP/s)",
    }


def profile_table(result: Measured) -> str:
    """Show the operations that take most of an update's time, and the rest together."""
    shares = list(result.operations.items())
    few = shares[_OPERATIONS:]
    rows = [(name, f"{share:6.1%}") for name, share in shares[:_OPERATIONS]]
    rows += [(f"{len(few)} others", f"{sum(share for _, share in few):6.1%}")] if few else []
    between = 1 - sum(share for _, share in shares)
    return _aligned([("operation", "own time"), *rows, ("between them", f"{between:6.1%}")])


def _counted(result: Measured) -> int:
    return result.speed.quiet_updates or result.speed.updates


def comparison_lines(compared: Compared) -> list[str]:
    """Say which of two trainings was how many times as fast."""
    found, apart = compared.ratio, _differences(compared)
    lines = [f"A  {apart[0]}", f"B  {apart[1]}", ""]
    lines += training_table([compared.first, compared.second]).splitlines()
    count = len(found.pairs)
    lines += [
        "",
        f"A is {found.median:.3f} times as fast as B: the median of {count} "
        f"{'pair' if count == 1 else 'pairs'} of blocks, quartiles {found.low:.3f} and "
        f"{found.high:.3f}",
    ]
    if found.left_out:
        lines.append(f"left out: {found.left_out} pairs in which a block had no quiet update")
    return lines


def _differences(compared: Compared) -> tuple[str, str]:
    """Each one's overrides, without those they share."""
    one, other = compared.first.overrides, compared.second.overrides
    shared = set(one) & set(other)
    kept = [" ".join(o for o in own if o not in shared) for own in (one, other)]
    return kept[0] or "as given", kept[1] or "the same"


def unquiet(results: Iterable[Measured]) -> bool:
    """Whether others were busy in all updates of one, so that its figures mean little."""
    return any(not result.speed.quiet_updates for result in results)


def decoding_table(result: Decoded) -> str:
    """Show how fast a model translates."""
    length = "" if result.exact is None else f", each made to have {result.exact} pieces and EOS"
    return _aligned(
        [
            ("model", result.model),
            ("search", f"beam {result.beam_size}, batch {result.batch_size}"),
            ("products in", f"{result.precision}, on {result.device}"),
            ("rounds", f"{result.rounds:,}, {result.quiet_rounds:,} of them quiet"),
            ("sentences", f"{result.sentences:,}{length}"),
            ("sentences/s", f"{result.sentences_per_second:,.1f}"),
            ("output tokens/s", f"{result.tokens_per_second:,.0f}"),
            ("mean length", f"{result.mean_length:.1f} pieces, EOS counted"),
            ("peak memory", f"{result.peak_memory / _GIB:.2f} GiB"),
        ]
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
