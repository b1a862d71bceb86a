"""The commands of `nmt bench`; what they do is loaded when they are called."""

from pathlib import Path
from typing import Annotated

import typer

bench = typer.Typer(help="Measure speed on this machine.", rich_markup_mode=None)
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[GROUP=CHOICE | KEY=VALUE]", show_default=False)
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all numbers to a file.")]


@bench.callback()
def _bench() -> None:
    pass


@bench.command("train", short_help="Measure how fast a configuration trains, or compare two.")
def train(
    overrides: Overrides = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="OVERRIDES",
            help="Compare with a configuration of these overrides more, in quotes: both train in "
            "this process, in turn.",
        ),
    ] = None,
    updates: Annotated[int, typer.Option(min=1, help="That count, of each.")] = 60,
    warmup: Annotated[int, typer.Option(min=1, help="Updates before them.")] = 12,
    block: Annotated[int, typer.Option(min=1, help="Of --against: that count in a row.")] = 10,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds, in all, to wait while others are busy.")
    ] = 0.0,
    validate: Annotated[
        bool, typer.Option("--validate/--no-validate", help="Time a validation behind them.")
    ] = True,
    profile: Annotated[
        int, typer.Option(min=0, help="So many updates more, for the time of each operation.")
    ] = 0,
    json_file: JsonFile = None,
) -> None:
    """Train for some updates and tell how fast it was: it takes what nmt train takes.

    Target tokens a second without pads, padding, where the time goes, peak memory, operations a
    token, and their share of what products reach on this machine. No run folder is written. An
    update counts if other processes took less than 0.15 of a core.
    """
    from nmt.bench.bench_runs import bench_train
    from nmt.bench.training import Plan

    plan = Plan(updates, warmup, block, wait, validate, profile)
    bench_train(overrides or [], against, plan, json_file)


@bench.command("decode", short_help="Measure how fast a model translates.")
def decode(
    overrides: Overrides = None,
    model: Annotated[
        Path | None,
        typer.Option(help="A run folder or checkpoint. [fresh weights of the configuration]"),
    ] = None,
    source: Annotated[
        Path | None, typer.Option(help="Sentences, one a line. [the validation text]")
    ] = None,
    sentences: Annotated[int | None, typer.Option(min=1, help="The first so many. [all]")] = None,
    beam_size: Annotated[int | None, typer.Option(min=1, help="[the model's own]")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="[the model's own]")] = None,
    exact: Annotated[
        int | None,
        typer.Option(min=1, help="Pieces of every translation: equal work for any model."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Times that all is translated.")] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    json_file: JsonFile = None,
) -> None:
    """Translate and tell sentences and output tokens a second, the median of the rounds."""
    from nmt.bench.bench_runs import DecodeOptions, bench_decode

    bench_decode(
        DecodeOptions(
            overrides=overrides or [],
            model=model,
            source=source,
            sentences=sentences,
            beam_size=beam_size,
            batch_size=batch_size,
            exact=exact,
            rounds=rounds,
            device=device,
            json_file=json_file,
        )
    )
