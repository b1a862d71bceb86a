"""The key of prepared data in the cache: a hash of everything that the files depend on."""

import dataclasses
import json

from nmt.config.data import DataConfig
from nmt.config.tokenizer_settings import TokenizerConfig
from nmt.data.content_hash import content_hash
from nmt.data.corpus import Corpus
from nmt.data.sources.fingerprint import fingerprint_files
from nmt.user_path import user_path

_FORMAT = "3"  # version of the format of the cached files

TOKENIZER_SETTINGS = (
    "name",
    "vocab_size",
    "joint",
    "byte_fallback",
    "character_coverage",
    "normalization",
    "symbols",
    "sample_size",
)
"""Tokenizer settings in the cache key.

Those of subword sampling are not among them: it changes no cached file. The key contains the hashes
of given model files instead of their paths.
"""


def cache_key(corpus: Corpus, data: DataConfig, tokenizer: TokenizerConfig) -> str:
    """Return the hash of everything that the prepared files and the report depend on."""
    settings = {
        "format": _FORMAT,
        "languages": [data.source_language, data.target_language],
        "max_length": data.max_length,
        "on_doubt": data.on_doubt,
        "filters": dataclasses.asdict(data.filters),
        "tokenizer": {key: dataclasses.asdict(tokenizer)[key] for key in TOKENIZER_SETTINGS},
        "models": [_file_hash(name) for name in (tokenizer.model, tokenizer.target_model)],
    }
    if data.context_sentences:
        settings["context"] = [data.context_sentences, data.context_targets]
    parts = [json.dumps(settings, sort_keys=True)]
    for source in corpus.train:
        parts += [source.key, source.pairs.fingerprint()]
        if source.links is not None:
            parts += [_file_hash(str(source.links.path)), str(source.links.flip)]
        if source.features is not None:  # changed features must be checked again
            parts += ["features", source.features.fingerprint()]
    for text in (corpus.valid, corpus.test):
        if text is not None:
            parts += ["\n".join(text.source), "\n".join(text.target)]
            if text.features is not None:
                parts += ["features", text.features.fingerprint()]
            parts += [] if text.documents is None else [str(text.documents)]
    return content_hash(parts)


def _file_hash(name: str | None) -> str:
    return "" if name is None else fingerprint_files("", [user_path(name)])
