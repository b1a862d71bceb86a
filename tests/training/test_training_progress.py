"""The progress that a run keeps of its validations."""

import json

from nmt.training.schedule import ConstantScheduleConfig, PlateauScheduleConfig
from nmt.training.training_progress import TrainingProgress

CONSTANT = ConstantScheduleConfig(warmup=0)
PLATEAU = PlateauScheduleConfig(warmup=0, factor=0.5, patience=2)


def test_only_a_better_score_is_the_best() -> None:
    progress = TrainingProgress()
    told = []
    for progress.update, score in enumerate((-5.0, -7.0, -5.0, -4.0, -4.5), start=1):
        told.append(progress.validated(score, 1.0, CONSTANT))
    assert told == [True, False, False, True, False], "an equal score is not an improvement"
    assert (progress.best_score, progress.best_update, progress.without_gain) == (-4.0, 4, 1)


def test_a_first_score_of_zero_is_a_score() -> None:
    progress = TrainingProgress()
    assert progress.validated(0.0, 1.0, CONSTANT)
    assert not progress.validated(0.0, 1.0, CONSTANT), "BLEU 0 was ignored"


def test_plateau_cuts_after_each_patience_without_improvement() -> None:
    progress = TrainingProgress()
    cuts = []
    for score in (1.0, 0.0, 0.0, 0.0, 0.0, 2.0, 0.0, 0.0):
        progress.validated(score, 1.0, PLATEAU)
        cuts.append(progress.reductions)
    # Improvements at positions 0 and 5; a cut after every two validations without one.
    assert cuts == [0, 0, 1, 1, 2, 2, 2, 3]


def test_other_schedules_ignore_validations() -> None:
    progress = TrainingProgress()
    for score in (1.0, 0.0, 0.0, 0.0):
        progress.validated(score, 1.0, CONSTANT)
    assert progress.reductions == 0


def test_the_speed_excludes_validations() -> None:
    progress = TrainingProgress(tokens=600, seconds=12.0, validation_seconds=2.0)
    assert progress.tokens_per_second == 60.0


def test_progress_round_trips_through_plain_values() -> None:
    progress = TrainingProgress(update=3, epoch=1, position=2, tokens=70, best_score=-1.5)
    assert TrainingProgress(**json.loads(json.dumps(progress.to_mapping()))) == progress


def test_of_equal_scores_the_lower_loss_is_the_best() -> None:
    progress = TrainingProgress()
    told = [progress.validated(0.0, loss, CONSTANT) for loss in (6.0, 5.0, 5.5)]
    assert told == [True, True, False], "BLEU stays 0 while perplexity falls"
    assert progress.validated(0.1, 7.0, CONSTANT), "the score has precedence"
