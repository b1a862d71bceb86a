"""`nmt attention --faithfulness`: do the weights show on which words the predictions depend?"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nmt
from nmt.errors import UserError
from nmt.reporting.command_progress import CommandProgress
from nmt.written_file import written_file

if TYPE_CHECKING:
    from nmt.decoding.translator import Translator
    from nmt.evaluation.attention.alignment_extractor import AlignmentExtractor
    from nmt.evaluation.attention.faithfulness_report import MeasuredSentence
    from nmt.model.seq2seq import TranslationModel
    from nmt.reporting.pages.faithfulness_page import ComparedSentence

MOST_DRAWN = 20
"""The greatest number of sentences whose pictures are on the page."""


def check_faithfulness_outputs(outputs: Sequence[Path]) -> None:
    """Check the names of the files.

    Raises:
        UserError: A file is neither a page nor JSON.
    """
    for path in outputs:
        if path.suffix.lower() not in (".html", ".json"):
            raise UserError(f"--output {path}: with --faithfulness give a .html or .json file")


def show_faithfulness(
    translator: "Translator",
    extractor: "AlignmentExtractor",
    pairs: Sequence[tuple[str, str]],
    outputs: Sequence[Path],
    progress: CommandProgress,
) -> None:
    """Measure sentence pairs, print the figures, and write the files.

    Raises:
        UserError: All sentences are too short, a file cannot be written, or the decoder does not
            attend to all pieces of the source.
    """
    from nmt.evaluation.attention.exhaustive_erasure import MOST_PIECES
    from nmt.evaluation.attention.faithfulness_report import measure_sentences, summarize
    from nmt.reporting.pages.faithfulness_page import figure_rows, save_faithfulness_page

    _refuse_hierarchical(translator.model)
    layer, head = extractor.layer, extractor.head
    advance = progress.stage("measuring", len(pairs))
    sentences = measure_sentences(translator, pairs, layer=layer, head=head, advance=advance)
    left_out = len(pairs) - len(sentences)
    report = summarize(sentences, layer=layer, head=head, left_out=left_out).plain()
    progress.clear()
    for path in outputs:
        with written_file(f"--output {path}", path):
            if path.suffix.lower() == ".json":
                _write_json(report, sentences, path)
            else:
                title = "What attention weights show, and what they do not"
                drawn = [_compared(one) for one in sentences[:MOST_DRAWN]]
                save_faithfulness_page(report, drawn, path, title, nmt.__version__)
    for what, value, confidence in figure_rows(report):
        print(f"{what:<66} {value:>6} {confidence}")
    print(
        f"sentences with exhaustive erasure, at most {MOST_PIECES} source pieces: "
        f"{report['short']:,}"
    )
    if report["left_out"]:
        print(f"sentences left out, fewer than 3 source pieces: {report['left_out']:,}")
    print(*report["reading"], sep="\n")


def _refuse_hierarchical(model: "TranslationModel") -> None:
    """Refuse a model in which some pieces of the target do not attend to all of the source.

    Raises:
        UserError: Its encoder or its decoder has hierarchical attention.
    """
    from nmt.model.documents.hierarchical_decoder import HierarchicalDecoder
    from nmt.model.documents.hierarchical_encoder import HierarchicalEncoder

    if isinstance(model.encoder, HierarchicalEncoder):
        raise UserError(
            "--faithfulness moves weights to all pieces of a source, but the decoder of a model "
            "with model.encoder.context=hierarchical reads only the current sentence: leave it out"
        )
    if isinstance(model.decoder, HierarchicalDecoder):
        raise UserError(
            "--faithfulness moves weights to all pieces of a source, but in a model with "
            "model.decoder.context=hierarchical each translation reads its own sentence: leave it "
            "out"
        )


def _compared(sentence: "MeasuredSentence") -> "ComparedSentence":
    """Return a sentence with its pictures."""
    from nmt.evaluation.attention.faithfulness_report import relative
    from nmt.reporting.heatmaps.heatmap import Heatmap
    from nmt.reporting.pages.faithfulness_page import NAMES, ComparedSentence

    found = sentence.found
    maps = {"attention weights": found.attention}
    for name in ("erasure", "exhaustive", "gradient"):
        values = getattr(found, name)
        if values is not None:
            maps[NAMES[name]] = relative(values)
    if found.rollout is not None:
        maps[NAMES["rollout"]] = found.rollout
    drawn = [
        Heatmap(values, sentence.source, sentence.target, title) for title, values in maps.items()
    ]
    erasure, gradient = sentence.agreement("erasure"), sentence.agreement("gradient")
    note = (
        f"tau with erasure {erasure:.2f}, with gradient × embedding {gradient:.2f}; weights "
        f"permuted: change {found.permuted.mean():.2f}"
    )
    return ComparedSentence(sentence.source_text, sentence.target_text, drawn, note)


def _write_json(
    report: dict[str, Any], sentences: "Sequence[MeasuredSentence]", path: Path
) -> None:
    from nmt.durable_file import atomic_write

    with atomic_write(path) as partial:
        records = list(_records(sentences))
        content = _without_nan({**report, "records": records})
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, indent=1)
        partial.write_text(text, encoding="utf-8")


def _records(sentences: "Sequence[MeasuredSentence]") -> Iterator[dict[str, Any]]:
    for one in sentences:
        values = {
            name: None if array is None else array.tolist()
            for name, array in vars(one.found).items()
        }
        yield {"source": one.source, "target": one.target, **values}


def _without_nan(value: Any) -> Any:
    """Return values with None for each number that is not finite, which JSON cannot contain."""
    if isinstance(value, dict):
        return {key: _without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
