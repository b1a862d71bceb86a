"""`nmt translate` for documents: reads a document, translates its segments, and writes it."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nmt.cli.options.document_flags import DocumentFlags
from nmt.cli.options.translate_options import TextOptions
from nmt.cli.text_streams import safe_line
from nmt.cli.translation.answer_output import check_output
from nmt.cli.translation.byte_sources import (
    STANDARD_INPUT,
    ByteSource,
    open_source,
    refuse_other_kind,
)
from nmt.decoding.engine import Loaded
from nmt.decoding.long_lines import check_max_length, trained_pieces
from nmt.documents.document_formats import translated_document, writes_records
from nmt.documents.document_options import DocumentOptions
from nmt.documents.model_translation import ModelTranslation
from nmt.documents.protection import Protection
from nmt.documents.segment_translation import SegmentTranslation
from nmt.durable_file import atomic_write
from nmt.reporting.command_progress import CommandProgress
from nmt.written_file import written_file

Write = Callable[[bytes], None]


def translate_document(
    text: TextOptions,
    flags: DocumentFlags,
    load: Callable[[], Loaded],
    progress: CommandProgress,
) -> None:
    """Translate the document that the options name.

    Args:
        text: Input and output.
        flags: The format, and what is translated.
        load: Loads the models, after the input has been opened and before the output is.
        progress: Shows how many segments are translated.

    Raises:
        UserError: The document is faulty, or the output cannot be written.
    """
    if text.max_length is not None:
        check_max_length(text.max_length)
    if text.output is not None:
        check_output(text.output, text.source)
    format = flags.format_of(text.source)
    with ExitStack() as opened:
        blocks, name = _input(text, opened)
        configs, translator = load()
        data = configs[0].data
        options = DocumentOptions(
            name,
            (data.source_language, data.target_language),
            flags.column,
            flags.into,
            flags.header,
            flags.retranslate,
        )
        longest = text.max_length or min(map(trained_pieces, configs))
        segments = SegmentTranslation(
            ModelTranslation(translator, configs[0], longest, flags.source_tag),
            Protection(flags.protected(text.source)),
        )
        write = opened.enter_context(
            _open_output(text.output, writes_records=writes_records(format))
        )
        advance = progress.stage("translating", None, "segments")
        done = 0
        for part, count in translated_document(blocks, format, options, segments):
            progress.clear()
            write(part)
            done += count
            advance(done)


def _input(text: TextOptions, opened: ExitStack) -> tuple[Iterator[bytes], str]:
    """Return the bytes of the document and its name."""
    if text.sentences:
        joined = "".join(f"{sentence}\n" for sentence in text.sentences)
        return iter([joined.encode("utf-8", "surrogateescape")]), "the arguments"
    source = opened.enter_context(open_source(text.source))
    return _blocks(source), STANDARD_INPUT if text.source is None else source.name


def _blocks(source: ByteSource) -> Iterator[bytes]:
    first = source.read()
    refuse_other_kind(first, source.name)
    yield first
    while block := source.read():
        yield block


@contextmanager
def _open_output(path: Path | None, *, writes_records: bool) -> Iterator[Write]:
    """Open the output; a file without records appears only when it is complete."""
    if path is None or str(path) == "-":
        yield _print
        return
    with written_file(f"--output {path}", path):
        if writes_records:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb", buffering=0) as file:
                yield lambda part: _write_all(file.write, part)
            return
        with atomic_write(path) as partial, partial.open("wb") as file:
            yield lambda part: _write_all(file.write, part)


def _write_all(write: Callable[[bytes], int | None], part: bytes) -> None:
    while part:
        part = part[write(part) or 0 :]


def _print(part: bytes) -> None:
    """Write bytes to standard output; on a terminal, escape control characters."""
    if sys.stdout.isatty():
        sys.stdout.write(safe_line(part.decode("utf-8", "replace"), sys.stdout))
    else:
        sys.stdout.buffer.write(part)
    sys.stdout.flush()
