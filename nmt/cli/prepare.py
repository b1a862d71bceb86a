"""`nmt prepare`: the first stage of `nmt train` alone."""

import sys
from collections.abc import Sequence

from nmt.errors import UserError
from nmt.reporting.console import Console
from nmt.reporting.progress_line import ProgressLine
from nmt.run.preparation import prepare_corpus
from nmt.sweeps.overrides import compose_config

_HELP = """nmt prepare: check, filter and encode a corpus; nmt train then begins at once.

Usage:  nmt prepare [GROUP=CHOICE ...] [KEY=VALUE ...]

  nmt prepare data=files data.source_language=en data.target_language=de \\
    data.train.path='train.{lang}.gz' data.valid.path='valid.{lang}.gz' data.test=null
  nmt prepare experiment=multi30k_transformer data.root=FOLDER

Takes what nmt train takes, and reads its data and tokenizer settings. The result stands in the
cache ($NMT_CACHE, or data.cache_dir) under a hash of text and settings: a second time, or in
another run, it is found there. data.workers=N sets the processes and threads; data.dropped=FILE.tsv
keeps what the filters leave out."""


def run(arguments: Sequence[str]) -> None:
    """Prepare the corpus of the configuration that these overrides make; print where it is.

    Raises:
        UserError: The configuration or the corpus is at fault.
    """
    if {"--help", "-h"} & set(arguments):
        print(_HELP)
        return
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise UserError(f"nmt prepare has no {flags[0]}; see nmt prepare --help")
    config = compose_config(arguments, {})
    with ProgressLine(sys.stderr) as line:
        corpus = prepare_corpus(config, Console(line), lambda: False)
    print(corpus.folder)
