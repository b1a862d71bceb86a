"""`nmt attention --context`: hierarchical attention to the previous sentences of a document."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nmt.cli.options.alignment_options import AlignmentOptions
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress


def check_context_options(
    outputs: Sequence[Path], alignment: AlignmentOptions, others: Mapping[str, bool]
) -> None:
    """Check the options beside --context.

    Args:
        outputs: The files to write.
        alignment: The options of the alignment; only the head applies.
        others: Whether each option that does not apply is given.

    Raises:
        UserError: There is no file to write, or an option does not apply.
    """
    of_links = {
        "--layer": alignment.layer is not None,
        "--shift": alignment.shift is not None,
        "--threshold": alignment.threshold is not None,
    }
    for flag, given in {**of_links, **others}.items():
        if given:
            raise UserError(
                f"{flag} does not apply to --context, which shows an attention to previous "
                "sentences"
            )
    if not outputs:
        raise UserError("--context draws files: add --output FILE")
    for path in outputs:
        if path.suffix.lower() == ".align":
            raise UserError(f"--output {path}: --context has no links of words to write")


def show_context(
    model: Path,
    sentences: Sequence[str],
    outputs: Sequence[Path],
    alignment: AlignmentOptions,
    *,
    shown: tuple[bool, bool],
    device: str,
    progress: CommandProgress,
) -> None:
    """Write both levels of attention of each sentence to the previous ones.

    Args:
        model: A run folder or a checkpoint file.
        sentences: The sentences of the documents in order; a blank one ends a document.
        outputs: The files to write.
        alignment: The head that pictures show.
        shown: Whether to show pieces, otherwise words; whether to show the end mark.
        device: The device of the model.
        progress: Shows how many sentences are done.

    Raises:
        UserError: The model has no such attention, or no sentence has a previous one.
    """
    from nmt.checkpoint import find_checkpoint, load_checkpoint
    from nmt.decoding.translator import Translator
    from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
    from nmt.evaluation.attention.attention_files import count_files, write_outputs
    from nmt.evaluation.attention.context_views import context_views
    from nmt.text.sentence_context import ContextSize

    checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
    translator = Translator.from_loaded_checkpoint(checkpoint, device=device)
    size = ContextSize.of(checkpoint.config.data)
    views = context_views(translator, size, sentences, progress.stage("reading", len(sentences)))
    chosen = alignment.chosen_head(views[0].attention.weights.shape[1])
    rule = AlignmentExtractor(0, chosen, shift=False)
    pieces, eos = shown
    prepared = [view.prepared(rule, pieces=pieces, eos=eos) for view in views]
    advance = progress.stage("drawing", count_files(outputs, len(views), grid=False), "files")
    warning = write_outputs(outputs, prepared, [], rule, grid=False, advance=advance)
    progress.clear()
    if warning is not None:
        print(f"warning: {warning}", file=sys.stderr)
