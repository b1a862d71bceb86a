"""Options that several commands share; [brackets] enclose the default of an option."""

from pathlib import Path
from typing import Annotated

import typer

from nmt.config.ensemble_mean import Mean

Model = Annotated[
    Path,
    typer.Option(
        "--model", help="A run folder, a checkpoint, or a packed model.", show_default=False
    ),
]
OptionalModel = Annotated[
    Path | None, typer.Option("--model", help="A run folder, a checkpoint, or a packed model.")
]
Models = Annotated[
    list[Path],
    typer.Option(
        "--model",
        metavar="<path>",
        help="A run folder, a checkpoint, or a packed model. If the option is repeated, the models "
        "translate together; their vocabularies must be the same.",
        show_default=False,
    ),
]
EnsembleMean = Annotated[
    Mean,
    typer.Option(
        "--ensemble",
        help="With several --model: average the logarithms of their probabilities, or the "
        "probabilities.",
    ),
]
BeamSize = Annotated[
    int | None, typer.Option(help="Beam size of the search; 1 is greedy. [the run's setting]")
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(
        help="Alpha of Wu et al. 2016; higher values favor longer translations. [the run's setting]"
    ),
]
BatchSize = Annotated[
    int | None, typer.Option(help="Sentences that are translated together. [the run's setting]")
]
SearchPrecision = Annotated[
    str,
    typer.Option(
        "--precision",
        help=(
            "float32, bfloat16, float16 on a GPU, int8 on a CPU, or auto: bfloat16 on a GPU that "
            "supports it, otherwise float32."
        ),
    ),
]
FeaturesFile = Annotated[
    Path | None,
    typer.Option(
        "--features",
        help="Features, for a model that reads them: array i belongs to line i. A .npy file "
        "[lines, regions, size], a .safetensors or .parquet file, a folder of .npy files, or a "
        ".txt file that lists them.",
    ),
]
Threads = Annotated[
    int | None,
    typer.Option(
        help="CPU threads; the last digits of a score may depend on their number. [one per core, "
        "or OMP_NUM_THREADS]"
    ),
]
ShortlistFile = Annotated[
    Path | None,
    typer.Option(
        "--shortlist",
        help=(
            "A file of nmt shortlist, or a run folder with such a file. The search then uses only "
            "pieces that are likely in the translation of a sentence, which is faster. "
            "[all pieces]"
        ),
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
JsonOutput = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
