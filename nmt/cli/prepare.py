"""`nmt prepare`: runs only the first stage of `nmt train`."""

import sys

import typer

from nmt import loading_phase
from nmt.cli.options.setting_flags import refuse_setting_flags
from nmt.cli.text_streams import print_safely
from nmt.errors import UserError
from nmt.reporting import start_line

_HELP = """nmt prepare: check, filter and encode a corpus, so that nmt train can start immediately.

Usage:  nmt prepare [GROUP=CHOICE ...] [KEY=VALUE ...]

  nmt prepare data=files data.source_language=en data.target_language=de \\
    data.train.path='train.{lang}.gz' data.valid.path='valid.{lang}.gz' data.test=null
  nmt prepare experiment=multi30k_transformer data.root=FOLDER

It takes the same settings as nmt train and uses those of the data and the tokenizer. The result is
stored in the cache ($NMT_CACHE, or data.cache_dir) under a hash of the text and the settings, where
later calls and other runs find it. data.workers=N sets the number of processes and threads;
data.dropped=FILE.tsv keeps the pairs that the filters remove."""


def prepare(context: typer.Context) -> None:
    """Check, filter and encode a corpus, as nmt train does first; see nmt prepare --help."""
    arguments = context.args
    if {"--help", "-h"} & set(arguments):
        print(_HELP)
        return
    refuse_setting_flags("prepare", arguments)
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise UserError(f"nmt prepare has no option {flags[0]}; see nmt prepare --help")
    with start_line.started("nmt prepare"):
        from nmt.reporting.console import Console
        from nmt.reporting.progress_line import ProgressLine
        from nmt.run.preparation import prepare_corpus
        from nmt.sweeps.overrides import compose_config
        from nmt.sweeps.repeated_overrides import warn_of_repeated

        config = compose_config(arguments, {})
        loading_phase.end()
        start_line.show("reading", f"the corpus {config.data.name}")
        start_line.end()
        warn_of_repeated(arguments)
    with ProgressLine(sys.stderr) as line:
        corpus = prepare_corpus(config, Console(line), lambda: False)
    print_safely(str(corpus.folder))
