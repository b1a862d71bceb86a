"""The option --features of commands that read the lines of a file."""

from pathlib import Path

from nmt.data.features import Features
from nmt.data.text_files import stream_lines
from nmt.decoding.translator import Translator
from nmt.errors import UserError


def with_features_of(translator: Translator, path: Path, source: Path) -> Translator:
    """Return a translator that reads the features of the lines of a file.

    Raises:
        UserError: The features are faulty, their number differs from the number of lines, the file
            is a pipe, or the model reads no features.
    """
    if path.exists() and source.exists() and not source.is_file():
        raise UserError(
            f"--source {source} is not a regular file, so its lines cannot be counted before they "
            "are read: with --features, write them to a file"
        )
    features = Features(path, f"--features {path}")
    features.check_count(sum(1 for _ in stream_lines(source)), str(source))
    return translator.with_features(features)
