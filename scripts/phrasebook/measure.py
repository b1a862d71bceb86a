"""Measures of a generated corpus."""

from __future__ import annotations

from collections import Counter

from phrasebook.generate import Drawn


def word_forms(lines: list[str]) -> Counter[str]:
    """Count the words of some lines without their punctuation."""
    return Counter(word.strip(".,!?;:") for line in lines for word in line.split())


def crosses(align: tuple[tuple[int, int], ...]) -> bool:
    """Return whether two links of a pair cross."""
    return any(a < c and b > d for a, b in align for c, d in align)


def report(splits: dict[str, list[Drawn]]) -> str:
    """Describe the corpus in a few lines of a table."""
    train = splits["train"]
    frames = Counter(d.frame for d in train)
    lines = ["| measure | value |", "|---|---|"]
    lines += [f"| {name} pairs | {len(splits[name])} |" for name in ("train", "valid", "test")]
    lines.append(f"| frames | {len(frames)} |")
    least = min(frames.items(), key=lambda item: item[1])
    lines.append(f"| fewest training pairs of a frame | {least[1]} (`{least[0]}`) |")
    for lang, texts in (
        ("English", [d.sentence.en for d in train]),
        ("German", [d.sentence.de for d in train]),
    ):
        forms = word_forms(texts)
        rare = sum(1 for count in forms.values() if count < 20)
        mean = sum(len(t.split()) for t in texts) / len(texts)
        lines.append(f"| {lang} word forms in train | {len(forms)} |")
        lines.append(f"| {lang} word forms seen fewer than 20 times | {rare} |")
        lines.append(f"| {lang} mean words per sentence | {mean:.2f} |")
    crossing = sum(crosses(d.sentence.align) for d in train) / len(train)
    lines.append(f"| pairs with crossing links | {crossing:.1%} |")
    return "\n".join(lines)
