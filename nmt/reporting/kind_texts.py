"""Texts about each kind of self-attention: its cost, what it loses, when to take it."""

from collections.abc import Mapping
from dataclasses import dataclass

from nmt.config.self_attention import SelfAttention


@dataclass(frozen=True)
class KindText:
    """Texts about one kind; n is the length of a sentence, d the size of the model.

    Attributes:
        idea: Who attends to whom.
        cost: Operations of a layer for a sentence.
        search: What a step of search reads and keeps, for a sentence that has n pieces so far.
        loses: What it cannot do, compared with full attention.
        take: When it is the right choice.
        source: Paper.
    """

    idea: str
    cost: str
    search: str
    loses: str
    take: str
    source: str


ALL_KEYS = "grows with n"

KIND_TEXTS: Mapping[SelfAttention, KindText] = {
    SelfAttention.FULL: KindText(
        "Every word attends to every word. Here equal words find each other, and similar words in "
        "part.",
        "O(n² d)",
        ALL_KEYS,
        "Nothing; but the cost of a sentence of twice the length is four times as high.",
        "Sentences, up to about 1,000 pieces: the default.",
        "Vaswani et al. 2017, eq. 1",
    ),
    SelfAttention.COSINE: KindText(
        "Every word attends to every word by the angle of query and key, whatever their lengths. A "
        "learned scale for each head sets how sharp the weights are.",
        "O(n² d)",
        ALL_KEYS,
        "A key cannot attract attention by its length.",
        "When the scores of full attention grow without bound and training diverges.",
        "Henry et al. 2020",
    ),
    SelfAttention.LOCAL: KindText(
        "A word attends to the w words on each side of it; here w = 2.",
        "O(n w d)",
        "constant: the last w pieces",
        "One layer sees nothing beyond the window. With L layers, information travels L · w words.",
        "Long texts in which the near context decides; search whose steps do not slow down.",
        "Beltagy et al. 2020, section 3.1",
    ),
    SelfAttention.STRIDED: KindText(
        "A word attends to the l words on each side, and to every l-th word; here l = 4.",
        "O(n (l + n / l) d)",
        ALL_KEYS,
        "A far word is seen only if its distance is a multiple of l. Two layers reach every word.",
        "Data with a period, such as rows of an image or lines of equal length.",
        "Child et al. 2019, section 4.3",
    ),
    SelfAttention.FIXED: KindText(
        "A word attends to its own block of l words and to the last c words of every other block; "
        "here l = 4 and c = 1. Each head has other words of the block.",
        "O(n (l + n c / l) d)",
        ALL_KEYS,
        "Most far words are seen only through the last words of their blocks, which must sum them "
        "up.",
        "Long texts without a period.",
        "Child et al. 2019, section 4.3",
    ),
    SelfAttention.RANDOM_GLOBAL: KindText(
        "A block of words attends to itself, its neighbours, the first block and a random block. "
        "The first block attends to all words. Here a block has 2 words.",
        "O(n (3 + g + r) b d)",
        ALL_KEYS,
        "A given far word is seen directly only by chance; via the first block, in two layers.",
        "Long documents, in the encoder above all.",
        "Zaheer et al. 2020, section 2",
    ),
    SelfAttention.LINEAR: KindText(
        "Every word attends to every word. The weights are products of features of query and key, "
        "φ(q) · φ(k), so that sums over the keys are computed once for all queries.",
        "O(n d²)",
        "constant: sums over the keys",
        "Sharp weights: here all are nearly equal. It cannot pick one word out of many.",
        "Very long texts, and search in constant memory, where exact recall matters little.",
        "Katharopoulos et al. 2020, eq. 4 to 7",
    ),
    SelfAttention.FAVOR: KindText(
        "Random features that estimate the weights of full attention; here 256 of them.",
        "O(n m d)",
        "constant: sums over the keys",
        "The estimate is noisy, and more so the sharper the weights are.",
        "The texts of linear, if the weights must be sharper.",
        "Choromanski et al. 2021, lemma 1",
    ),
    SelfAttention.LOW_RANK: KindText(
        "A word attends to k mixtures of words, which are learned for each position; here to the "
        "means of the four quarters of the sentence.",
        "O(n k d)",
        "no form for a decoder",
        "Single words: all words of a mixture share its weight.",
        "Encoders of long texts of similar lengths, if a summary of their parts is enough.",
        "Wang et al. 2020, section 4",
    ),
    SelfAttention.LSH: KindText(
        "A word attends to the words that a random hash puts into its bucket, with two hashes of "
        "4 buckets here. Queries and keys are the same vectors. A word attends to itself only if "
        "it is alone.",
        "O(n log n d)",
        ALL_KEYS,
        "Similar words that no hash brings together; queries that differ from their keys.",
        "Very long texts with few relevant words for each, which may be anywhere.",
        "Kitaev et al. 2020, section 2",
    ),
    SelfAttention.ADAPTIVE_SPAN: KindText(
        "A head attends as far as it has learned to; the loss has a price for each position. Here "
        "the head has a span of 2 words, and its mask falls to 0 over 3 more.",
        "O(n (z + R) d)",
        ALL_KEYS,
        "Words beyond the learned span.",
        "Long texts, when the right window is not known: most heads learn short spans.",
        "Sukhbaatar et al. 2019, section 2",
    ),
}
