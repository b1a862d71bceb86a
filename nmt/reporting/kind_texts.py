"""Texts about each kind of self-attention: its cost, its limits and its use."""

from collections.abc import Mapping
from dataclasses import dataclass

from nmt.config.self_attention import SelfAttention


@dataclass(frozen=True)
class KindText:
    """Texts about one kind; n is the length of a sentence, d the size of the model, H its heads.

    Attributes:
        idea: Which words attend to which words.
        cost: Number of operations of a layer for a sentence.
        search: Memory and time of a decoding step after n pieces.
        loses: What the kind cannot do, compared with full attention.
        take: The texts for which the kind is a good choice.
        source: The paper, with the section or equation.
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
        "Every word attends to every word. Here equal words get the most weight, and similar words "
        "get some.",
        "O(n² d)",
        ALL_KEYS,
        "Nothing, but a sentence of twice the length costs four times as much.",
        "Sentences of up to some hundred pieces; this is the default.",
        "Vaswani et al. 2017, eq. 1",
    ),
    SelfAttention.COSINE: KindText(
        "Every word attends to every word. The score is the cosine of the angle between query and "
        "key, times a learned scale of the head.",
        "O(n² d)",
        ALL_KEYS,
        "A key cannot get more weight by a larger norm.",
        "When the scores of full attention grow without bound and training diverges.",
        "Henry et al. 2020",
    ),
    SelfAttention.LOCAL: KindText(
        "A word attends to the w words on each side of it; here w = 2.",
        "O(n w d)",
        "constant: the last w pieces",
        "One layer sees no word beyond the window. L layers see L · w words on each side.",
        "Long texts in which near context is enough; search with a constant cost per step.",
        "Beltagy et al. 2020, section 3.1",
    ),
    SelfAttention.STRIDED: KindText(
        "A word attends to the l words on each side, and to the words whose distance is a multiple "
        "of l; here l = 4.",
        "O(n (l + n / l) d)",
        ALL_KEYS,
        "One layer sees a far word only if its distance is a multiple of l. Two layers see every "
        "word.",
        "Data with a period, such as rows of an image or lines of equal length.",
        "Child et al. 2019, section 4.3",
    ),
    SelfAttention.FIXED: KindText(
        "A word attends to its own block of l words and to the last c words of every other block; "
        "here l = 4 and c = 1. With several heads, each head has its own c words of the block.",
        "O(n (l + n c / l) d)",
        ALL_KEYS,
        "Most far words are seen only through the last words of their blocks, which must summarize "
        "the block.",
        "Long texts without a period.",
        "Child et al. 2019, section 4.3",
    ),
    SelfAttention.RANDOM_GLOBAL: KindText(
        "A block of b words attends to itself, its neighbors, the first g blocks and r random "
        "blocks. The first g blocks attend to all words. Here b = 2, g = 1 and r = 1.",
        "O(n (3 + g + r) b d)",
        ALL_KEYS,
        "One layer sees a far word only by chance. Two layers see it through the first block.",
        "Long documents, mainly in the encoder.",
        "Zaheer et al. 2020, section 2",
    ),
    SelfAttention.LINEAR: KindText(
        "Every word attends to every word. The weights are products of features of query and key, "
        "φ(q) · φ(k), so that sums over the keys are computed once for all queries.",
        "O(n d² / H)",
        "constant: sums over the keys",
        "Sharp weights: here all are nearly equal. A head cannot select one word among many.",
        "Very long texts, and search in constant memory, where exact recall matters little.",
        "Katharopoulos et al. 2020, eq. 4 to 7",
    ),
    SelfAttention.FAVOR: KindText(
        "m random features of query and key estimate the weights of full attention; here m = 256.",
        "O(n m d)",
        "constant: sums over the keys",
        "The estimate is noisy. The noise is larger for sharper weights.",
        "The same texts as linear, if the weights must be sharper.",
        "Choromanski et al. 2021, lemma 1",
    ),
    SelfAttention.LOW_RANK: KindText(
        "A word attends to k weighted sums of all words. The weights of the sums are learned for "
        "each position; here k = 4, and the sums are the means of the quarters of the sentence.",
        "O(n k d)",
        "for encoders only",
        "Single words: all words of a sum share its weight.",
        "Encoders of long texts of similar lengths, if a summary of their parts is enough.",
        "Wang et al. 2020, section 4",
    ),
    SelfAttention.LSH: KindText(
        "A word attends to the words that a random hash puts into the same bucket; here 2 hashes "
        "with 4 buckets each. Queries and keys are the same vectors. A word attends to itself only "
        "if it attends to no other word.",
        "O(n log n d)",
        ALL_KEYS,
        "Similar words that no hash puts into one bucket; queries that differ from their keys.",
        "Very long texts in which each word has few relevant words, at any distance.",
        "Kitaev et al. 2020, section 2",
    ),
    SelfAttention.ADAPTIVE_SPAN: KindText(
        "Each head learns its span of z words; the loss has a penalty on the spans. Here z = 2, "
        "and the mask falls to 0 over R = 3 more words.",
        "O(n (z + R) d)",
        ALL_KEYS,
        "Words beyond the learned span.",
        "Long texts for which the right window is not known. Most heads learn short spans.",
        "Sukhbaatar et al. 2019, section 2",
    ),
}
