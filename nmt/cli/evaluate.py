"""`nmt evaluate`: a model's BLEU, chrF and TER on a file, with signatures."""

import json
from pathlib import Path

from nmt.data.text_files import read_pair
from nmt.decoding.translator import Translator
from nmt.evaluation import metrics


def run(
    model: Path,
    source: Path,
    reference: Path,
    *,
    beam_size: int | None,
    length_penalty: float | None,
    batch_size: int | None,
    device: str,
    as_json: bool,
) -> None:
    """Translate a file and score it against its reference.

    Raises:
        UserError: The model or a file is at fault, or the files differ in length.
    """
    sources, references = read_pair(source, reference)
    translator = Translator.from_checkpoint(
        model,
        device=device,
        beam_size=beam_size,
        length_penalty=length_penalty,
        batch_size=batch_size,
    )
    translations = [translation.text for translation in translator.translate(sources)]
    scores = {
        "bleu": metrics.bleu(translations, references),
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
