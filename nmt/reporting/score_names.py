"""The names of scores in tables and pages, and the level of significance."""

SCORE_NAMES = {"bleu": "BLEU", "chrf": "chrF2", "chrf++": "chrF2++", "ter": "TER"}
"""The names of the scores in papers, by their names in JSON."""

SIGNIFICANT = 0.05
"""A difference with a p-value below this is significant."""
