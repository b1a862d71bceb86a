"""Sentences that stay replace those that are gone in place, as if they were selected."""

from itertools import product

import torch

from nmt.model.beams import moved_into_gaps, rows_that_stay


def test_rows_that_stay_name_each_sentence_once_and_keep_the_first_ones() -> None:
    for stays in product([False, True], repeat=6):
        places = rows_that_stay(stays)
        assert sorted(places) == [place for place, one in enumerate(stays) if one]
        assert all(place in (i, *range(len(places), 6)) for i, place in enumerate(places))


def test_moving_into_gaps_equals_a_selection_in_the_same_memory() -> None:
    for stays in product([False, True], repeat=5):
        rows = torch.randn(5, 3, 2)
        every_second = torch.randn(5, 6, 2)[:, ::2]  # its rows are not contiguous
        places = torch.tensor(rows_that_stay(stays), dtype=torch.long)
        expected = [one.index_select(0, places) for one in (rows, rows, every_second)]
        found = moved_into_gaps((rows, rows, every_second), places)
        assert all(map(torch.equal, found, expected))
        if any(stays):
            assert found[0].data_ptr() == found[1].data_ptr() == rows.data_ptr()
            assert found[2].data_ptr() == every_second.data_ptr()
