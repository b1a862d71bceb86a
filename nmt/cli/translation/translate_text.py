"""Joins the parts of `nmt translate`: input, model, output, warnings and progress."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from nmt.cli.options.constraint_options import ConstraintOptions, LineConstraints
from nmt.cli.options.document_flags import DocumentFlags
from nmt.cli.options.translate_options import SearchOptions, TextOptions
from nmt.cli.translation.answer_output import AnswerOutput, check_output, open_output
from nmt.cli.translation.answer_writing import AnswerWriting
from nmt.cli.translation.byte_sources import ByteSource, open_source
from nmt.cli.translation.input_lines import LineReader, RawLine
from nmt.cli.translation.line_faults import LineFaults, Warnings
from nmt.cli.translation.line_translation import LineTranslation
from nmt.config.schema import Config
from nmt.data.features import Features
from nmt.decoding.answers import Answerer
from nmt.decoding.batches import CHUNK_BATCHES
from nmt.decoding.document_answers import DocumentAnswerer
from nmt.decoding.document_search import common_context
from nmt.decoding.engine import Engine, Loaded
from nmt.decoding.line_lengths import LongLines
from nmt.decoding.long_lines import check_max_length, trained_pieces
from nmt.decoding.sampling import Sampling
from nmt.decoding.translator import Translator
from nmt.errors import UserError
from nmt.printable import printable
from nmt.reporting.command_progress import CommandProgress
from nmt.written_file import written_file

_NO_TEXT = "-"  # the text of a sentence whose source is only its features


def translate_text(
    text: TextOptions,
    search: SearchOptions,
    asked: ConstraintOptions,
    load: Callable[[], Loaded],
    progress: CommandProgress,
    flags: DocumentFlags,
) -> None:
    """Translate the input that the options name.

    Args:
        text: Input and output.
        search: Search or sampling.
        asked: The constraints on the translations.
        load: Loads the models, after the input has been opened and before the output is.
        progress: Shows how many sentences are translated, unless a terminal shows their answers.
        flags: Whether the input is a document, and how answers to lines are written.

    Raises:
        UserError: An option is wrong, the input is faulty, or the output cannot be written.
    """
    if flags.uses_documents(text.source):
        from nmt.cli.translation.translate_document import translate_document

        translate_document(text, flags, load, progress)
    else:
        _translate_lines(text, search, asked, load, progress, flags)


def _translate_lines(
    text: TextOptions,
    search: SearchOptions,
    asked: ConstraintOptions,
    load: Callable[[], Loaded],
    progress: CommandProgress,
    flags: DocumentFlags,
) -> None:
    """Translate the lines of the input, or the arguments; see `translate_text`."""
    _check(text)
    sampling = search.sampling()
    with ExitStack() as opened:
        source = None if text.sentences else opened.enter_context(open_source(text.source))
        constraints = LineConstraints(asked, opened) if asked.given else None
        configs, translator = load()
        features = _features(text)
        if features is not None:
            assert isinstance(translator, Translator)  # others are refused before
            translator = translator.with_features(features)
        search.check_beam(translator.decoding.beam_size)
        if constraints is not None:
            translator.check_constraints([constraints.of_all])
        output = opened.enter_context(open_output(text.output, text.source))
        lines = LineTranslation(
            _answerer(configs, translator, search, sampling),
            output,
            LineFaults(text.errors, _places(source), Warnings(partial(_warn, progress))),
            AnswerWriting(flags, search.n_best, translator, configs[0]),
            LongLines.WHOLE if _reads_no_text(translator) else text.long_lines,
            text.max_length or min(map(trained_pieces, configs)),
            constraints,
            features,
        )
        if source is None or source.is_terminal() or output.on_terminal:
            progress.close()
        if source is not None and text.source is None and _reads_no_text(translator):
            assert features is not None
            lines.run([_arguments([_NO_TEXT] * len(features))])
        elif source is not None:
            chunks = _chunks(source, translator.decoding.batch_size * translator.processes)
            with _saved_lines_named(output):
                lines.run(chunks, _LineProgress(progress, source))
        elif text.attention is None:
            lines.run([_arguments(text.sentences)])
        else:
            _translate_and_draw(lines, text.sentences[0], text.attention)


def _features(text: TextOptions) -> Features | None:
    if text.features is None:
        return None
    return Features(text.features, f"--features {text.features}")


def _reads_no_text(translator: Engine) -> bool:
    """Return whether the source is only features, so that no lines are needed."""
    if not isinstance(translator, Translator) or translator.features is None:
        return False
    return not translator.model.reads_text


def _answerer(
    configs: Sequence[Config],
    translator: Engine,
    search: SearchOptions,
    sampling: Sampling | None,
) -> DocumentAnswerer:
    language = configs[0].data.target_language
    by_risk = search.mbr is not None
    answerer = Answerer(translator, search.n_best, sampling, language, minimum_risk=by_risk)
    return DocumentAnswerer(answerer, common_context(configs))


def _check(text: TextOptions) -> None:
    if text.max_length is not None:
        check_max_length(text.max_length)
    if text.output is not None:
        check_output(text.output, text.source)


def _places(source: ByteSource | None) -> Callable[[int], str]:
    """Return a function that names a line in messages."""
    if source is None:
        return lambda number: f"argument {number}"
    return lambda number: f"{source.name}, line {number:,}"


def _arguments(sentences: Sequence[str]) -> list[RawLine]:
    """Return arguments as lines of bytes; undecodable bytes are as the shell passed them."""
    encoded = [sentence.encode("utf-8", "surrogateescape") for sentence in sentences]
    return [RawLine(number, line, len(line)) for number, line in enumerate(encoded, start=1)]


def _chunks(source: ByteSource, batch_size: int) -> Iterator[list[RawLine]]:
    """Yield lists of lines: from a terminal single lines, otherwise all lines that have arrived."""
    at_terminal = source.is_terminal()
    if at_terminal:
        print("One sentence per line; Ctrl-D ends.", file=sys.stderr)
    reader = LineReader(source, before_wait=_prompt if at_terminal else lambda: None)
    while lines := reader.read(1 if at_terminal else CHUNK_BATCHES * batch_size):
        yield lines
    if at_terminal:
        print(file=sys.stderr)


class _LineProgress:
    """Shows the number of lines that are done, and the share of the file in bytes.

    It is called with a list of lines and the share of this list that is done.
    """

    def __init__(self, progress: CommandProgress, source: ByteSource) -> None:
        self._advance = progress.stage("translating", None)
        self._size = source.size
        self._lines = self._bytes = 0

    def __call__(self, lines: Sequence[RawLine], share: float = 1.0) -> None:
        done = self._lines + round(share * len(lines))
        read = self._bytes + share * sum(line.size + 1 for line in lines)
        self._advance(done, min(1.0, read / self._size) if self._size else None)
        if share == 1.0:
            self._lines, self._bytes = done, round(read)


def _prompt() -> None:
    print("> ", end="", file=sys.stderr, flush=True)


def _warn(progress: CommandProgress, message: str) -> None:
    progress.clear()
    print(f"nmt: {printable(message)}", file=sys.stderr)


@contextmanager
def _saved_lines_named(output: AnswerOutput) -> Iterator[None]:
    """After Ctrl-C, let the message name the last line in the output file."""
    try:
        yield
    except KeyboardInterrupt:
        if output.path is None:
            raise
        raise KeyboardInterrupt(
            f"{output.path} has the answers to the first {output.answers:,} lines"
        ) from None


def _translate_and_draw(lines: LineTranslation, sentence: str, path: Path) -> None:
    """Translate one sentence, and draw the attention of its translation."""
    from nmt.evaluation.attention.attention_heatmap import region_heatmap, translation_heatmap
    from nmt.reporting.heatmaps.rendering import save_heatmap
    from nmt.reporting.heatmaps.scripts import missing_glyphs_warning

    translator = lines.answerer.translator
    assert isinstance(translator, Translator)
    [answer] = lines.translate(_arguments([sentence]), need_weights=True)
    if not answer.translation.hypotheses:
        raise UserError("--attention: the sentence is blank, so there is nothing to draw")
    layer, head = translator.drawn
    if translator.model.reads_text:
        heatmap = translation_heatmap(answer.translation, translator.tokenizers, layer, head=head)
    else:
        heatmap = region_heatmap(answer.translation, translator.tokenizers, layer, head)
    with written_file(f"--attention {path}", path):
        warning = missing_glyphs_warning(save_heatmap(heatmap, path))
    if warning is not None:
        print(f"warning: {warning}", file=sys.stderr)
