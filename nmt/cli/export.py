"""`nmt export`: writes a model for other programs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt import loading_phase
from nmt.cli.text_streams import print_safely
from nmt.errors import UserError
from nmt.export.export_choices import ExportFormat, Quantization
from nmt.file_names import no_file
from nmt.reporting.command_progress import CommandProgress

if TYPE_CHECKING:
    from nmt.checkpoint import Checkpoint


Run = Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, or a checkpoint file.")]
To = Annotated[
    ExportFormat, typer.Option("--to", help="The layout of the folder.", show_default=False)
]
Output = Annotated[
    Path, typer.Option(help="The folder to write; new or empty.", show_default=False)
]
WeightType = Annotated[
    Quantization,
    typer.Option(
        "--weights", help="Type of the matrices in the files; only ctranslate2 has the int8 types."
    ),
]
SentenceFile = Annotated[
    Path | None,
    typer.Option(
        help="Source sentences on which the export is compared with the model, one per line; may "
        "be .gz. [the run's validation text]"
    ),
]
ShortlistFile = Annotated[
    Path | None,
    typer.Option(
        "--shortlist",
        help="With --to ctranslate2: a file of nmt shortlist, or a run folder with such a file, "
        "which is also written as vmap.txt.",
    ),
]
ReferenceFile = Annotated[
    Path | None,
    typer.Option(
        help="Translations of all --sentences: also print BLEU of a CTranslate2 export and of the "
        "model."
    ),
]


def export(
    model: Run,
    to: To,
    output: Output,
    weights: WeightType = Quantization.FLOAT32,
    sentences: SentenceFile = None,
    shortlist: ShortlistFile = None,
    references: ReferenceFile = None,
) -> None:
    """Write a model as a folder for CTranslate2, Hugging Face's transformers, ONNX or safetensors.

    The folder has the SentencePiece models and a page about the model, README.md. If the other
    program does not support an option of the model, the message names this option.
    """
    with CommandProgress() as progress:
        progress.show("loading", model)
        from nmt.checkpoint import find_checkpoint, load_checkpoint
        from nmt.export.export_model import Export, check_form
        from nmt.export.exported_folder import check_output

        check_output(output)
        pairs = _pairs(to, sentences, references)
        checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
        check_form(checkpoint.config, to)
        given = _sentences(checkpoint, sentences)
        found = None
        if shortlist is not None:
            from nmt.decoding.constrained.shortlist_file import load_shortlist

            found = load_shortlist(shortlist, checkpoint.tokenizers)
        loading_phase.end()
        progress.show("exporting", model)
        words = "" if pairs is None else _bleu_words(checkpoint)
        wanted = Export(checkpoint, _summary(model), to, weights, given, found)
        parity = wanted.write(output)
        printed = [f"{output}: {to.value}, {weights.value}"]
        if parity is not None:
            printed.append(parity.line())
        if pairs is not None:
            from nmt.export.bleu_check import check_bleu

            progress.show("translating with", output)
            printed.append(check_bleu(checkpoint, output, *pairs, words, weights).line())
    for line in printed:
        print_safely(line)


def _bleu_words(checkpoint: "Checkpoint") -> str:
    """Return BLEU's tokenizer; if it is not installed, the command stops before the export."""
    from nmt.evaluation.metrics import bleu_tokenizer

    return bleu_tokenizer(checkpoint.config.data.target_language)


def _pairs(
    to: ExportFormat, sentences: Path | None, references: Path | None
) -> tuple[list[str], list[str]] | None:
    """Return the sentences and their references; None: BLEU is not requested."""
    if references is None:
        return None
    if to is not ExportFormat.CTRANSLATE2:
        raise UserError(
            f"--references scores the translations of CTranslate2: leave it out with --to {to}"
        )
    if sentences is None:
        raise UserError("--references has the translations of --sentences FILE: give both files")
    from nmt.data.text_files import read_pair

    return read_pair(sentences, references)


def _summary(model: Path) -> dict[str, object]:
    """Return the summary of a finished run; empty for a checkpoint file."""
    from nmt.run.folder import RunFolder

    return (RunFolder(model).read_summary() or {}) if model.is_dir() else {}


def _sentences(checkpoint: "Checkpoint", path: Path | None) -> list[str]:
    """Return the lines of the file, or the validation text of the run."""
    if path is not None:
        from nmt.data.text_files import stream_lines

        if not path.is_file():
            raise UserError(f"--sentences: {no_file(path)}")
        return list(stream_lines(path))
    from nmt.data.corpus import open_corpus

    try:
        return open_corpus(checkpoint.config.data).valid.source
    except UserError as error:
        raise UserError(
            f"the run's validation text cannot be read, so the export cannot be compared with the "
            f"model: {error}; give --sentences FILE"
        ) from error
