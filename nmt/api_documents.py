"""The part of `nmt.Model` that translates documents."""

from collections.abc import Collection
from os import PathLike
from threading import Lock

from nmt.config.schema import Config
from nmt.decoding.translator import Translator
from nmt.user_path import user_path


class DocumentMethods:
    """Methods of `nmt.Model` for documents.

    Attributes:
        config: The configuration of its run.
    """

    config: Config
    _translator: Translator
    _lock: Lock

    def translate_document(
        self,
        source: str | PathLike[str],
        output: str | PathLike[str],
        *,
        format: str | None = None,
        column: str | None = None,
        into: str | None = None,
        header: bool = False,
        retranslate: bool = False,
        protect: Collection[str] = ("placeholders",),
        source_tag: str | None = None,
    ) -> int:
        """Translate a document with its structure, as ``nmt translate --input --output``.

        Args:
            source: A .tsv, .jsonl, .tmx, .xliff, .po, .srt, .vtt, .md or .html file.
            output: The file of the translation. It is written when the translation is complete.
            format: The format of the file; None: by its suffix.
            column: The column of a table, or the field of JSON lines, that is translated.
            into: The column or field in which the translation is written; None: the translation
                replaces the text.
            header: Whether the first line of a table has the names of its columns.
            retranslate: Whether segments that have a translation are translated again.
            protect: The kinds of text that stay unchanged: ``placeholders``, ``urls``, ``emails``,
                ``numbers``, ``markup``.
            source_tag: The tag before every sentence, e.g. ``<2de>``; None: the tag that all
                training sources have, if there is one.

        Returns:
            The number of segments.

        Raises:
            UserError: The document is faulty, or a file cannot be read or written.
        """
        from nmt.documents.document_files import translate_file
        from nmt.documents.document_options import DocumentOptions
        from nmt.documents.model_translation import ModelTranslation

        data, path = self.config.data, user_path(str(source))
        languages = data.source_language, data.target_language
        options = DocumentOptions(str(path), languages, column, into, header, retranslate)
        translator = ModelTranslation(self._translator, self.config, source_tag=source_tag)
        with self._lock:
            return translate_file(
                path, user_path(str(output)), translator, options, format, protect
            )
