"""`nmt bench train` and `nmt bench decode`: measure speed on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from nmt import loading_phase
from nmt.cli.options.common_options import Device, SearchPrecision, ShortlistFile
from nmt.process_exit import exit_together, join_processes
from nmt.reporting.command_progress import CommandProgress

bench = typer.Typer(help="Measure speed on this machine.", rich_markup_mode=None)

Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[GROUP=CHOICE | KEY=VALUE]", help="As for nmt train.", show_default=False
    ),
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all figures to a file.")]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="OVERRIDES",
        help=(
            "Compare with a second configuration: the first configuration with these added "
            "overrides, in quotes. Both train alternately in this process."
        ),
    ),
]
Updates = Annotated[int, typer.Option(min=1, help="Measured updates of each configuration.")]
Warmup = Annotated[int, typer.Option(min=1, help="Updates before the measured ones.")]
Block = Annotated[
    int,
    typer.Option(
        min=1,
        help="With --against: number of updates after which the other configuration continues.",
    ),
]
Wait = Annotated[
    float,
    typer.Option(
        min=0,
        help="Wait until other processes leave the processor idle, at most this number of seconds "
        "in total.",
    ),
]
Validate = Annotated[
    bool, typer.Option("--validate/--no-validate", help="Also time a validation afterwards.")
]
Profile = Annotated[
    int,
    typer.Option(min=0, help="Further updates, which are profiled for the time of each operation."),
]
Model = Annotated[
    Path | None,
    typer.Option(help="A run folder or checkpoint. [random weights of the configuration]"),
]
Source = Annotated[Path | None, typer.Option(help="Sentences, one per line. [the validation text]")]
Sentences = Annotated[
    int | None, typer.Option(min=1, help="Translate only the first N sentences. [all]")
]
BeamSize = Annotated[int | None, typer.Option(min=1, help="Beam size. [the model's setting]")]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Sentences per batch. [the model's setting]")
]
Exact = Annotated[
    int | None,
    typer.Option(
        min=1, help="Make every translation N pieces long, so that all models do equal work."
    ),
]
Longer = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="With --exact: also translate one batch to N pieces, in turns, and compare the time "
        "per piece.",
    ),
]
Rounds = Annotated[int, typer.Option(min=1, help="How often the whole text is translated.")]


@bench.callback()
def _bench() -> None:
    pass


@bench.command("train", short_help="Measure how fast a configuration trains, or compare two.")
def train(
    overrides: Overrides = None,
    against: Against = None,
    updates: Updates = 60,
    warmup: Warmup = 12,
    block: Block = 10,
    wait: Wait = 0.0,
    validate: Validate = True,
    profile: Profile = 0,
    json_file: JsonFile = None,
) -> None:
    """Train for some updates and report the speed.

    The report shows target tokens per second without padding, the share of padding, the time of
    each phase, peak memory, and floating-point operations per token. It also shows the rate of
    these operations as a share of the rate of matrix products on this machine. No run folder is
    written. An update counts only if other processes used less than 0.15 of a core. Under torchrun,
    the speed is that of all processes.
    """
    with exit_together():
        join_processes()

        with CommandProgress() as progress:
            progress.show("loading", "PyTorch")
            from nmt.bench.bench_runs import bench_train
            from nmt.bench.training import Plan

            loading_phase.end()
        plan = Plan(updates, warmup, block, wait, validate, profile)
        bench_train(overrides or [], against, plan, json_file)


@bench.command("decode", short_help="Measure how fast a model translates.")
def decode(
    overrides: Overrides = None,
    model: Model = None,
    source: Source = None,
    sentences: Sentences = None,
    beam_size: BeamSize = None,
    batch_size: BatchSize = None,
    exact: Exact = None,
    longer: Longer = None,
    shortlist: ShortlistFile = None,
    rounds: Rounds = 3,
    device: Device = "auto",
    precision: SearchPrecision = "auto",
    json_file: JsonFile = None,
) -> None:
    """Translate and report sentences and output tokens per second, the median of the rounds."""
    with CommandProgress() as progress:
        progress.show("loading", "PyTorch" if model is None else model)
        from nmt.bench.bench_runs import DecodeOptions, bench_decode

        loading_phase.end()
    bench_decode(
        DecodeOptions(
            overrides=overrides or [],
            model=model,
            source=source,
            sentences=sentences,
            beam_size=beam_size,
            batch_size=batch_size,
            exact=exact,
            longer=longer,
            shortlist=shortlist,
            rounds=rounds,
            device=device,
            json_file=json_file,
            precision=precision,
        )
    )
