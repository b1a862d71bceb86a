"""Rules that drop training pairs."""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from nmt.config.filter_settings import Duplicates, FiltersConfig
from nmt.data.language_identification import surely_other
from nmt.data.number_sides import is_number_with_words
from nmt.data.text_hash import hash_normalized, hash_pairs
from nmt.data.writing_systems import LEAST_SHARE, expected_script, share_in_script

Verdicts = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]


class FilterRule(StrEnum):
    """Why a training pair is dropped: of several rules, the one that is checked first."""

    KEPT = "kept"
    BLANK = "blank"
    TOO_LONG = "too_long"
    MAX_WORDS = "max_words"
    MAX_RATIO = "max_ratio"
    COPY = "copy"
    SCRIPT = "script"
    LANGUAGE = "language"
    TEST_OVERLAP = "test_overlap"
    DUPLICATE = "duplicate"
    NUMBER = "number_only"

    @property
    def verdict(self) -> int:
        """The number of this rule in arrays and files: its index in `RULES`."""
        return RULES.index(self)


RULES = tuple(FilterRule)
KEPT = FilterRule.KEPT.verdict
"""The verdict of a pair that no rule drops."""

# Number of alphabetic letters that correspond to one character of these scripts.
_DENSITY = {"Han": 3.0, "Japanese": 2.0, "Hangul": 2.0}
_SHORT = 20  # characters; max_ratio ignores a pair without a longer side, e.g. "Yes."
_LEAST_WORDS = 4  # test_overlap ignores shorter sides of validation and test
_LEAST_CHARACTERS = 10  # the same limit for scripts that are written without spaces
_UNSPACED = ("Japanese", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")


class PairFilters:
    """The rules that need only the pair itself; small enough to send to worker processes.

    Args:
        config: The settings of the rules.
        languages: Codes of the source and the target language.
        held_out: `held_out_hashes` of validation and test, used by ``test_overlap``.
    """

    def __init__(
        self, config: FiltersConfig, languages: tuple[str, str], held_out: Hashes | None = None
    ) -> None:
        self._config = config
        self._languages = languages
        self._scripts = [expected_script(language) for language in languages]
        self._held_out = np.empty(0, np.uint64) if held_out is None else held_out
        density = [_DENSITY.get(script or "", 1.0) for script in self._scripts]
        self._source_to_target = density[0] / density[1]

    def verdicts(self, sources: Sequence[str], targets: Sequence[str]) -> Verdicts:
        """Return one verdict per pair; ``too_long`` and ``duplicate`` are decided elsewhere.

        Args:
            sources: [pairs], source texts, cleaned by `clean_text`.
            targets: [pairs], target texts, cleaned likewise.

        Raises:
            UserError: The language identifier is required but unavailable.
        """
        pairs = zip(sources, targets, strict=True)
        verdicts = np.array([self._verdict_by_form(*pair) for pair in pairs], dtype=np.uint8)
        config = self._config
        overlap = config.test_overlap and self._held_out.size
        for rule, is_on, wrong in (
            (FilterRule.SCRIPT, config.scripts, self._in_wrong_script),
            (FilterRule.LANGUAGE, config.language is not None, self._in_wrong_language),
            (FilterRule.TEST_OVERLAP, overlap, self._is_held_out),
        ):
            if is_on:
                kept = np.flatnonzero(verdicts == KEPT)
                sides = ([side[i] for i in kept.tolist()] for side in (sources, targets))
                verdicts[kept[wrong(*sides)]] = rule.verdict
        return verdicts

    def _verdict_by_form(self, source: str, target: str) -> int:
        """Judge a pair by blank sides, lengths, equality and numbers."""
        config = self._config
        if not source.strip() or not target.strip():
            return FilterRule.BLANK.verdict
        words = config.max_words
        if words is not None and (_exceeds(source, words) or _exceeds(target, words)):
            return FilterRule.MAX_WORDS.verdict
        if config.max_ratio is not None and self._ratio_exceeds(
            len(source), len(target), config.max_ratio
        ):
            return FilterRule.MAX_RATIO.verdict
        if config.copies and source.strip() == target.strip():
            return FilterRule.COPY.verdict
        if config.numbers and is_number_with_words(source, target):
            return FilterRule.NUMBER.verdict
        return KEPT

    def _ratio_exceeds(self, source: int, target: int, ratio: float) -> bool:
        if source <= _SHORT and target <= _SHORT:
            return False
        weighed = source * self._source_to_target
        return weighed > ratio * target or target > ratio * weighed

    def _in_wrong_script(self, sources: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        wrong = np.zeros(len(sources), dtype=bool)
        for script, texts in zip(self._scripts, (sources, targets), strict=True):
            if script is not None:
                wrong |= np.array(
                    [share_in_script(text, script) < LEAST_SHARE for text in texts], dtype=bool
                )
        return wrong

    def _in_wrong_language(self, sources: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        assert self._config.language is not None
        wrong = np.zeros(len(sources), dtype=bool)
        for language, texts in zip(self._languages, (sources, targets), strict=True):
            wrong |= np.array(surely_other(texts, language, self._config.language), dtype=bool)
        return wrong

    def _is_held_out(self, sources: list[str], targets: list[str]) -> npt.NDArray[np.bool_]:
        return self._among(sources) | self._among(targets)

    def _among(self, texts: list[str]) -> npt.NDArray[np.bool_]:
        hashes = hash_normalized(texts)
        positions = np.searchsorted(self._held_out, hashes)
        return self._held_out[np.minimum(positions, len(self._held_out) - 1)] == hashes


def held_out_hashes(splits: Iterable[tuple[Sequence[str], Sequence[str]]]) -> Hashes:
    """Return the sorted, distinct hashes of the `normalized` sides of validation and test.

    Sides of fewer than 4 words are skipped. Otherwise "Yes." in a test set would drop each training
    pair with this side. In scripts without spaces, the limit is 10 characters.

    Args:
        splits: The source texts and the target texts of each split.
    """
    sides = (text for split in splits for side in split for text in side)
    return np.unique(hash_normalized(text for text in sides if _is_distinctive(text)))


def duplicate_keys(
    config: FiltersConfig, sources: Sequence[str], targets: Sequence[str]
) -> Hashes | None:
    """Return a key for each pair, the same for duplicates; None if duplicates are kept."""
    if config.duplicates == Duplicates.KEEP:
        return None
    if config.duplicates == Duplicates.EXACT:
        return hash_pairs(sources, targets)
    # Odd factors keep all 64 bits; different factors make the key depend on the order of the sides.
    odd = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F], dtype=np.uint64)
    return hash_normalized(sources) * odd[0] + hash_normalized(targets) * odd[1]


def first_only(keys: Hashes) -> npt.NDArray[np.bool_]:
    """Return a mask [n], True at the first occurrence of each key; O(n log n) time."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    is_first = np.ones(len(keys), dtype=bool)
    is_first[order[1:]] = ordered[1:] != ordered[:-1]
    return is_first


def _exceeds(text: str, words: int) -> bool:
    # n words need at least 2 n - 1 characters, so most texts need not be split.
    return len(text) > 2 * words and len(text.split()) > words


def _is_distinctive(text: str) -> bool:
    if len(text.split()) >= _LEAST_WORDS:
        return True
    if text.isascii() or len(text) < _LEAST_CHARACTERS:
        return False
    return any(share_in_script(text, script) > LEAST_SHARE for script in _UNSPACED)
