"""The attention of the model of a run, teacher-forced on its own test translations."""

from collections.abc import Sequence

from nmt.checkpoint import find_checkpoint, load_checkpoint
from nmt.errors import UserError
from nmt.evaluation.attention.aligner import Aligner
from nmt.evaluation.attention.alignment_extractor import default_extractor
from nmt.evaluation.attention.attention_heatmap import map_heatmap
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.run.run_record import RunRecord


def translation_heatmaps(
    record: RunRecord, sources: Sequence[str], translations: Sequence[str]
) -> list[Heatmap | None]:
    """Teacher-force the best model of a run on translations, and return its attention.

    Args:
        record: The run.
        sources: The sentences.
        translations: The run's translation of each sentence.

    Returns:
        One heatmap per sentence, of the layer and head that `nmt attention` shows; None: the
        translation is empty, the model has no attention or reads previous sentences, which a
        sentence alone lacks, or its checkpoint cannot be read.
    """
    pairs = list(zip(sources, translations, strict=True))
    places = [n for n, (source, target) in enumerate(pairs) if source.strip() and target.strip()]
    found: list[Heatmap | None] = [None] * len(pairs)
    if record.config.data.context_sentences or record.config.data.context_targets:
        return found
    try:
        checkpoint = load_checkpoint(find_checkpoint(record.path), mapped=True)
        model = checkpoint.build_model().eval()
        if not model.decoder.attends:
            return found
        aligner = Aligner(model, checkpoint.tokenizers)
        extractor = default_extractor(record.config, aligner.layers)
        extractor = extractor.resolved(aligner.layers, aligner.heads)
        maps = aligner.attention_maps([pairs[n] for n in places])
        for place, one in zip(places, maps, strict=True):
            shown = one.shifted() if extractor.shift else one
            found[place] = map_heatmap(shown, extractor.layer, extractor.head)
    except UserError:  # the page then shows the translations only
        return [None] * len(pairs)
    return found
