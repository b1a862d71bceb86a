"""How tables and pages call the scores of translations, and when a difference is significant."""

SCORE_NAMES = {"bleu": "BLEU", "chrf": "chrF2", "chrf++": "chrF2++", "ter": "TER"}
"""The names under which papers give the scores, by their names in JSON."""

SIGNIFICANT = 0.05
"""A difference whose p-value is below this is called significant."""
