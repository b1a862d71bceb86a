"""The option --features of commands that read the lines of a file."""

from pathlib import Path

from nmt.data.features import Features
from nmt.data.text_files import stream_lines
from nmt.decoding.translator import Translator


def with_features_of(translator: Translator, path: Path, source: Path) -> Translator:
    """Return a translator that reads the features of the lines of a file.

    Raises:
        UserError: The features are faulty, their number differs from the number of lines, or the
            model reads no features.
    """
    features = Features(path, f"--features {path}")
    features.check_count(sum(1 for _ in stream_lines(source)), str(source))
    return translator.with_features(features)
