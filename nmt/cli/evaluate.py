"""`nmt evaluate`: translates a file and scores the translations."""

import json
from pathlib import Path
from typing import Annotated

import typer

from nmt.cli.common_options import BatchSize, BeamSize, Device, JsonOutput, LengthPenalty, Model
from nmt.errors import UserError

Source = Annotated[Path, typer.Option(help="Sentences to translate, one per line; may be .gz.")]
Reference = Annotated[Path, typer.Option(help="Reference translations, line by line; may be .gz.")]
BleuWords = Annotated[
    str,
    typer.Option(
        help="Tokenizer whose words BLEU counts: auto (by the target language), 13a, intl, char, "
        "zh, ja-mecab, ko-mecab, flores101, flores200 or none."
    ),
]


def evaluate(
    model: Model,
    source: Source,
    reference: Reference,
    beam_size: BeamSize = None,
    length_penalty: LengthPenalty = None,
    batch_size: BatchSize = None,
    device: Device = "auto",
    bleu_tokenizer: BleuWords = "auto",
    as_json: JsonOutput = False,
) -> None:
    """Translate a file and score it: BLEU, chrF and TER with their sacreBLEU signatures."""
    from nmt.checkpoint import find_checkpoint, load_checkpoint
    from nmt.config.bleu_words import BleuTokenizer
    from nmt.data.text_files import read_pair
    from nmt.decoding.translator import Translator
    from nmt.evaluation import metrics

    sources, references = read_pair(source, reference)
    checkpoint = load_checkpoint(find_checkpoint(model), mapped=True)
    if bleu_tokenizer not in list(BleuTokenizer):
        raise UserError(
            f"--bleu-tokenizer is {bleu_tokenizer}; choose from {', '.join(BleuTokenizer)}"
        )
    words = metrics.bleu_tokenizer(checkpoint.config.data.target_language, bleu_tokenizer)
    translator = Translator.from_loaded_checkpoint(
        checkpoint,
        device=device,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
    )
    translations = [translation.text for translation in translator.translate(sources)]
    scores = {
        "bleu": metrics.bleu(translations, references, words),
        "chrf": metrics.chrf(translations, references),
        "ter": metrics.ter(translations, references),
    }
    if as_json:
        result: dict[str, object] = {"sentences": len(sources)}
        for name, score in scores.items():
            result |= {name: score.value, f"{name}_signature": score.signature}
        print(json.dumps(result))
        return
    labels = {"bleu": "BLEU", "chrf": "chrF2", "ter": "TER"}
    for name, score in scores.items():
        print(f"{labels[name]:<5} {score.value:6.2f}  {score.signature}")
