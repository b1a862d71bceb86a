"""Synthetic tasks for self-attention: sequences, their answers, and exact solvers.

A row has T positions and is read at once. The answer to a position is a symbol. Positions without
an answer have `NO_ANSWER`, and no loss. The answers of a row are drawn uniformly and independently.
So a model that does not retrieve the right position is right with probability `CHANCE`.

    copy       START w_1 ... w_m BREAK ? ... ?                answers w_1 ... w_m
    reversal   START w_1 ... w_m BREAK ? ... ?                answers w_m ... w_1
    recall     START k_1 v_1 ... k_P v_P _ ... _ BREAK q ...  answers: the value of each key q

Copy: Graves et al. 2014, section 4.1; Katharopoulos et al. 2020, section 4.1, and Kitaev et al.
2020, section 2, test their attention with it. Recall of several keys in one row: Arora et al. 2023.

Legend: B rows, T positions, m symbols of a word, P pairs.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

BLANK, START, BREAK, QUESTION = range(4)
"""Symbols other than data; `BLANK` fills the distance between pairs and queries."""
VALUES = 16
"""Number of different answers."""
CHANCE = 1 / VALUES
FIRST_VALUE = 4
FIRST_KEY = FIRST_VALUE + VALUES
NO_ANSWER = -100
"""The target of positions that have none, which torch's cross-entropy leaves out."""


@dataclass(frozen=True)
class Rows:
    """A batch of a task.

    Attributes:
        symbols: [B, T].
        answers: [B, T], below `VALUES` (the symbol minus `FIRST_VALUE`), or `NO_ANSWER`.
        places: [B, T], the position of the answer in the row, or `NO_ANSWER`.
    """

    symbols: Tensor
    answers: Tensor
    places: Tensor


@dataclass(frozen=True)
class Task:
    """How rows of a task are drawn, and how they are solved exactly.

    Attributes:
        draw: Draws rows, given B, T, P, the number of different keys, and a random generator.
        solve: Returns the answers, as in `Rows.answers`, given symbols [B, T].
    """

    draw: Callable[[int, int, int, int, torch.Generator], Rows]
    solve: Callable[[Tensor], Tensor]


def shortest(pairs: int) -> int:
    """Return the least T for P pairs, their queries and a word of one symbol."""
    return max(3 * pairs + 2, 4)


def num_keys(pairs: int) -> int:
    """Return the number of different keys from which those of P pairs are drawn."""
    return 2 * pairs


def num_symbols(pairs: int) -> int:
    """Return the size of the alphabet for P pairs."""
    return FIRST_KEY + num_keys(pairs)


def word_length(length: int) -> int:
    """Return m, the number of symbols to copy in T positions."""
    return (length - 2) // 2


def _draw_word(rows: int, length: int, generator: torch.Generator, *, backwards: bool) -> Rows:
    size = word_length(length)
    words = torch.randint(VALUES, (rows, size), generator=generator)
    symbols = torch.full((rows, length), BLANK)
    symbols[:, 0] = START
    symbols[:, 1 : size + 1] = words + FIRST_VALUE
    symbols[:, size + 1] = BREAK
    symbols[:, size + 2 : 2 * size + 2] = QUESTION
    answers, places = (torch.full_like(symbols, NO_ANSWER) for _ in range(2))
    order = torch.arange(size).flip(0) if backwards else torch.arange(size)
    answers[:, size + 2 : 2 * size + 2] = words[:, order]
    places[:, size + 2 : 2 * size + 2] = order + 1
    return Rows(symbols, answers, places)


def draw_copy(rows: int, length: int, pairs: int, keys: int, generator: torch.Generator) -> Rows:
    """Draw words and ask for them in their order; ``pairs`` and ``keys`` are not used."""
    return _draw_word(rows, length, generator, backwards=False)


def draw_reversal(
    rows: int, length: int, pairs: int, keys: int, generator: torch.Generator
) -> Rows:
    """Draw words and ask for them from last to first; ``pairs`` and ``keys`` are not used."""
    return _draw_word(rows, length, generator, backwards=True)


def draw_recall(rows: int, length: int, pairs: int, keys: int, generator: torch.Generator) -> Rows:
    """Draw P different keys with a value each, and ask for all of them in another order."""
    drawn = torch.rand(rows, keys, generator=generator).argsort(1)[:, :pairs]
    values = torch.randint(VALUES, (rows, pairs), generator=generator)
    order = torch.rand(rows, pairs, generator=generator).argsort(1)
    symbols = torch.full((rows, length), BLANK)
    answers, places = (torch.full_like(symbols, NO_ANSWER) for _ in range(2))
    symbols[:, 0], symbols[:, -pairs - 1] = START, BREAK
    symbols[:, 1 : 2 * pairs + 1 : 2] = drawn + FIRST_KEY
    symbols[:, 2 : 2 * pairs + 2 : 2] = values + FIRST_VALUE
    symbols[:, -pairs:] = drawn.gather(1, order) + FIRST_KEY
    answers[:, -pairs:] = values.gather(1, order)
    places[:, -pairs:] = 2 * order + 2
    return Rows(symbols, answers, places)


def _solve_word(symbols: Tensor, *, backwards: bool) -> Tensor:
    answers = torch.full_like(symbols, NO_ANSWER)
    for row, found in zip(symbols.tolist(), answers, strict=True):
        word = [symbol - FIRST_VALUE for symbol in row[: row.index(BREAK)] if symbol != START]
        asked = [place for place, symbol in enumerate(row) if symbol == QUESTION]
        found[asked] = torch.tensor(word[::-1] if backwards else word)
    return answers


def solve_copy(symbols: Tensor) -> Tensor:
    """Answer each `QUESTION` with the symbol that stands as far after `START`."""
    return _solve_word(symbols, backwards=False)


def solve_reversal(symbols: Tensor) -> Tensor:
    """Answer each `QUESTION` with the symbol that stands as far before `BREAK`."""
    return _solve_word(symbols, backwards=True)


def solve_recall(symbols: Tensor) -> Tensor:
    """Answer each key after `BREAK` with the symbol that follows it before `BREAK`."""
    answers = torch.full_like(symbols, NO_ANSWER)
    for row, found in zip(symbols.tolist(), answers, strict=True):
        end = row.index(BREAK)
        value_of = {row[i]: row[i + 1] for i in range(end - 1) if row[i] >= FIRST_KEY}
        for place in range(end + 1, len(row)):
            found[place] = value_of[row[place]] - FIRST_VALUE
    return answers


TASKS = {
    "copy": Task(draw_copy, solve_copy),
    "reversal": Task(draw_reversal, solve_reversal),
    "recall": Task(draw_recall, solve_recall),
}
