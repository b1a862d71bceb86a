"""Tables of the measurements of `nmt bench`."""

from collections.abc import Iterable, Sequence

from nmt.bench.decoding import DecodingSpeed
from nmt.bench.length_cost import LengthCost
from nmt.bench.measured_run import PHASES
from nmt.bench.profile import Profile
from nmt.bench.shortlist_gain import ShortlistGain
from nmt.bench.training import Compared, Measured

_GIGA, _GIB = 1e9, 2**30
_OPERATIONS = 15  # greatest number of operations in the table of a profile
_LONGEST_NAME = 90  # characters; the names of kernels contain their template arguments


def training_table(results: Sequence[Measured]) -> str:
    """Return a table with a column per training."""
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
        **_processes_row(result),
        "first update": f"{result.first_update:.1f} s, after {result.preparation:.1f} s for the "
        "corpus and the model",
        "updates": f"{speed.updates:,}, {speed.quiet_updates:,} of them quiet"
        + ("" if speed.others is None else f" (other processes used {speed.others:.2f} of a core)"),
        "target tokens/s": f"{speed.tokens_per_second:,.0f}  without padding, median of windows",
        "": f"{speed.mean_tokens_per_second:,.0f}  mean over the total time",
        "time per update": f"{speed.seconds / _measured_updates(result):.3f} s, "
        f"{counts.target_tokens / _measured_updates(result):,.0f} target tokens",
        "padding": f"target {counts.target_padding:.1%}, source {counts.source_padding:.1%}",
        "time": ", ".join(f"{name} {speed.phases[name] / update:.1%}" for name in PHASES),
    }
    if result.validation is not None:
        own = result.validation
        rows["validation"] = (
            f"{own.seconds:.1f} s every {own.every:,} updates, {own.share:.1%} of a run, "
            "with a model of this few updates"
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
        "operations": f"{result.flop_per_token / 1e6:.1f} MFLOP per target token",
        "ceiling": f"{ceiling.flop_per_second / _GIGA:,.0f} GFLOP/s  ({rates})",
        "share of ceiling": f"{result.ceiling_share:.1%}  ({reached:,.0f} GFLOP/s)",
    }


def _processes_row(result: Measured) -> dict[str, str]:
    """Return a row about the processes of torchrun; none for a single process."""
    shares = result.token_shares
    if len(shares) == 1:
        return {}
    each = ", ".join(f"{share:.1%}" for share in shares)
    return {"processes": f"{len(shares)}, with {each} of the target tokens"}


def profile_table(found: Profile) -> str:
    """Return a table of the operations or kernels with the largest share of an update's time."""
    on_gpu = found.kernels is not None
    if on_gpu and not found.shares:
        return "torch's profiler recorded no kernel: CUPTI is missing or not permitted here"
    shares = list(found.shares.items())
    rest = shares[_OPERATIONS:]
    rows = [(name[:_LONGEST_NAME], f"{share:6.1%}") for name, share in shares[:_OPERATIONS]]
    rows += [(f"{len(rest)} others", f"{sum(share for _, share in rest):6.1%}")] if rest else []
    rows.append(("between them", f"{found.between:6.1%}"))
    if on_gpu:
        rows.append(("kernels and copies per update", f"{found.kernels:6,.0f}"))
        rows.append(("launches by the host per update", f"{found.launches:6,.0f}"))
    return _aligned([("kernel" if on_gpu else "operation", "own time"), *rows])


def _measured_updates(result: Measured) -> int:
    return result.speed.quiet_updates or result.speed.updates


def comparison_lines(compared: Compared) -> list[str]:
    """Return lines of text that compare two trainings."""
    ratio, overrides = compared.ratio, _differences(compared)
    lines = [f"A  {overrides[0]}", f"B  {overrides[1]}", ""]
    lines += training_table([compared.first, compared.second]).splitlines()
    count = len(ratio.pairs)
    lines += [
        "",
        f"A is {ratio.median:.3f} times as fast as B: the median of {count} "
        f"{'pair' if count == 1 else 'pairs'} of blocks, quartiles {ratio.low:.3f} and "
        f"{ratio.high:.3f}",
    ]
    if ratio.left_out:
        lines.append(f"left out: {ratio.left_out} pairs in which a block had no quiet update")
    return lines


def _differences(compared: Compared) -> tuple[str, str]:
    """Return the overrides of each configuration that the other one lacks."""
    one, other = compared.first.overrides, compared.second.overrides
    shared = set(one) & set(other)
    kept = [" ".join(o for o in own if o not in shared) for own in (one, other)]
    return kept[0] or "as given", kept[1] or "the same"


def unquiet(results: Iterable[Measured]) -> bool:
    """Return whether a result has no quiet update, so that its numbers are unreliable."""
    return any(not result.speed.quiet_updates for result in results)


def decoding_table(result: DecodingSpeed) -> str:
    """Return a table of the translation speed."""
    length = "" if result.exact is None else f", each forced to {result.exact} pieces and EOS"
    return _aligned(
        [
            ("model", result.model),
            ("search", f"beam {result.beam_size}, batch {result.batch_size}"),
            ("products in", f"{result.precision}, on {result.device}"),
            ("rounds", f"{result.rounds:,}, {result.quiet_rounds:,} of them quiet"),
            ("sentences", f"{result.sentences:,}{length}"),
            ("sentences/s", f"{result.sentences_per_second:,.1f}"),
            ("output tokens/s", f"{result.tokens_per_second:,.0f}"),
            ("mean length", f"{result.mean_length:.1f} pieces, EOS included"),
            ("peak memory", f"{result.peak_memory / _GIB:.2f} GiB"),
        ]
    )


def length_cost_table(cost: LengthCost) -> str:
    """Return a table of the time per piece at two lengths."""
    short, long = cost.pieces
    return _aligned(
        [
            (f"a step of {short} pieces", f"{cost.milliseconds[0]:.2f} ms of {cost.clock} time"),
            (f"a step of {long} pieces", f"{cost.milliseconds[1]:.2f} ms"),
            ("ratio", f"{cost.ratio:.2f}, from {cost.low:.2f} to {cost.high:.2f}"),
        ]
    )


def shortlist_gain_table(gain: ShortlistGain) -> str:
    """Return a table of the speed with a shortlist and without."""
    every, few = gain.seconds
    return _aligned(
        [
            ("all pieces", f"{every:.2f} s of {gain.clock} time"),
            ("shortlist", f"{few:.2f} s"),
            ("as fast with it", f"{gain.ratio:.2f} times, from {gain.low:.2f} to {gain.high:.2f}"),
            ("same translations", f"{100 * gain.same:.1f} %"),
        ]
    )


def _aligned(rows: Sequence[tuple[str, ...]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines)
