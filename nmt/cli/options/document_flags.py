"""The options of `nmt translate` for documents, and their checks, before torch is loaded."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.options.constraint_options import ConstraintOptions
from nmt.cli.options.translate_options import SearchOptions, TextOptions
from nmt.cli.translation.line_choices import LineErrors
from nmt.decoding.line_lengths import LongLines
from nmt.documents.document_kinds import DocumentFormat, format_by_suffix
from nmt.documents.protection import Protected
from nmt.errors import UserError


class OutputFormat(StrEnum):
    """What `nmt translate` writes for a line of text."""

    TEXT = "text"
    """The translation."""
    TSV = "tsv"
    """The line, a tab, the translation."""
    JSON = "json"
    """An object with the translations, their scores, pieces and alignment."""
    MOSES = "moses"
    """Per translation: number ||| text ||| log-probability ||| score."""


Format = Annotated[
    DocumentFormat | None,
    typer.Option(
        "--format",
        help="The format of the input and the output. [by the suffix of --input, else text]",
    ),
]
Column = Annotated[
    str | None,
    typer.Option(
        help="tsv: the column that is translated, by its number, or by its name in the first line. "
        "jsonl: the field, with dots between levels. [1; text]"
    ),
]
Into = Annotated[
    str | None,
    typer.Option(
        help="tsv, jsonl: the column or field in which the translation is written; it may be new. "
        "[in place of the text]"
    ),
]
Header = Annotated[
    bool, typer.Option("--header", help="tsv: the first line has the names of the columns.")
]
Retranslate = Annotated[
    bool,
    typer.Option("--retranslate", help="Also translate segments that have a translation already."),
]
Protect = Annotated[
    str | None,
    typer.Option(
        help=(
            "What stays unchanged: placeholders, urls, emails, numbers, markup, with commas "
            "between them; all; or none. [placeholders in documents, none in text]"
        )
    ),
]
SourceTag = Annotated[
    str | None,
    typer.Option(
        "--source-tag",
        help=(
            "The tag before every sentence of a document, or before every line of text, e.g. "
            "'<2de>'. [in documents, the tag that all training sources have]"
        ),
    ),
]
Outputs = Annotated[
    OutputFormat,
    typer.Option(
        "--output-format",
        help=(
            "What is written for a line of text: text: the translation; tsv: the line and its "
            "translation; json: an object; moses: fields with ||| between them."
        ),
    ),
]
WithAttention = Annotated[
    bool,
    typer.Option(
        "--with-attention", help="With --output-format json: also write the attention weights."
    ),
]


@dataclass(frozen=True)
class DocumentFlags:
    """The options as given; see their help texts."""

    format: Format = None
    column: Column = None
    into: Into = None
    header: Header = False
    retranslate: Retranslate = False
    protect: Protect = None
    source_tag: SourceTag = None
    output_format: Outputs = OutputFormat.TEXT
    with_attention: WithAttention = False

    def format_of(self, source: Path | None) -> DocumentFormat:
        """Return the format of the input."""
        if self.format is not None:
            return self.format
        by_suffix = None if source is None else format_by_suffix(source)
        return by_suffix or DocumentFormat.TEXT

    def protected(self, source: Path | None) -> frozenset[Protected]:
        """Return the kinds of text that stay unchanged.

        Raises:
            UserError: ``--protect`` has another word.
        """
        if self.protect is None:
            is_text = self.format_of(source) == DocumentFormat.TEXT
            return frozenset() if is_text else frozenset({Protected.PLACEHOLDERS})
        words = [word.strip() for word in self.protect.split(",")]
        if words == ["none"]:
            return frozenset()
        if words == ["all"]:
            return frozenset(Protected)
        for word in words:
            if word not in list(Protected):
                known = ", ".join([*Protected, "all", "none"])
                raise UserError(f"--protect has {word!r}; it may have: {known}")
        return frozenset(map(Protected, words))

    def uses_documents(self, source: Path | None) -> bool:
        """Return whether the input is read as a document.

        Lines with protected parts or with a tag are also read as a document.
        """
        is_document = self.format_of(source) != DocumentFormat.TEXT
        return is_document or bool(self.protected(source)) or self.source_tag is not None

    def check(
        self, text: TextOptions, search: SearchOptions, constraints: ConstraintOptions
    ) -> None:
        """Check the options of the command that need no model.

        Raises:
            UserError: Options contradict each other, or have no effect.
        """
        text.check()
        search.check()
        format = self.format_of(text.source)
        if text.sentences and format != DocumentFormat.TEXT:
            raise UserError(
                f"--format {format} applies to files: give --input FILE, or standard input"
            )
        if self.with_attention and self.output_format != OutputFormat.JSON:
            raise UserError("--with-attention applies only to --output-format json: add it")
        self._check_fields(format)
        other = None if text.output is None else format_by_suffix(text.output)
        if other not in (None, format) and format != DocumentFormat.TEXT:
            raise UserError(
                f"--output {text.output} has the suffix of {other}, but the output has the format "
                f"of the input, {format}: choose another name"
            )
        if not self.uses_documents(text.source):
            return
        what, remedy = f"the format {format}", "add --format text"
        if format == DocumentFormat.TEXT:
            what, remedy = "--protect", "add --protect none"
        if format == DocumentFormat.TEXT and self.source_tag is not None:
            what, remedy = "--source-tag", "write the tag before each line"
        refused = {
            f"--n-best {search.n_best}": search.n_best != 1,
            "--sample": search.sample,
            "--mbr": search.mbr is not None,
            "constraints": constraints.given,
            "--attention": text.attention is not None,
            "--features": text.features is not None,
            f"--errors {text.errors}": text.errors != LineErrors.STRICT,
            f"--long-lines {text.long_lines}": text.long_lines != LongLines.SPLIT,
            f"--output-format {self.output_format}": self.output_format != OutputFormat.TEXT,
        }
        for option, given in refused.items():
            if given:
                raise UserError(
                    f"{option} cannot be combined with {what}: leave it out, or {remedy}"
                )

    def _check_fields(self, format: DocumentFormat) -> None:
        of_records = format in (DocumentFormat.TSV, DocumentFormat.JSONL)
        has_targets = of_records or format in (
            DocumentFormat.TMX,
            DocumentFormat.XLIFF,
            DocumentFormat.PO,
        )
        wrong = {
            "--column": self.column is not None and not of_records,
            "--into": self.into is not None and not of_records,
            "--header": self.header and format != DocumentFormat.TSV,
            "--retranslate": self.retranslate and not has_targets,
        }
        for option, given in wrong.items():
            if given:
                formats = {"--header": "tsv", "--retranslate": "tsv, jsonl, tmx, xliff and po"}
                raise UserError(
                    f"{option} applies only to {formats.get(option, 'tsv and jsonl')}, but the "
                    f"format is {format}: leave it out, or add --format"
                )
