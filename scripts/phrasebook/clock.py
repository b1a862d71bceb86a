"""Clock times, dates, prices and counts in words, as linked phrase pairs."""

from __future__ import annotations

from collections.abc import Iterable

from phrasebook import english, german
from phrasebook.tokens import Pair, parse_pair

_MONTHS = {
    "January": "Januar", "February": "Februar", "March": "März", "April": "April", "May": "Mai",
    "June": "Juni", "July": "Juli", "August": "August", "September": "September",
    "October": "Oktober", "November": "November", "December": "Dezember",
}  # fmt: skip


def clock_times(hours: Iterable[int] = range(1, 13)) -> list[Pair]:
    """Return the times of the twelve-hour clock, without preposition."""
    pairs = []
    for hour in hours:
        en, de = english.number(hour), german.number(hour)
        following = german.number(hour % 12 + 1)
        full = "ein" if hour == 1 else de
        pairs.append(parse_pair(f"{en}_b o'clock_c", f"{full}_b Uhr_c"))
        pairs.append(parse_pair(f"half_a past_a {en}_b", f"halb_a {following}_b"))
        for before, after in (("past", "nach"), ("to", "vor")):
            pairs.append(
                parse_pair(f"a_a quarter_a {before}_c {en}_b", f"Viertel_a {after}_c {de}_b")
            )
            for minutes in (5, 10, 20):
                left, right = english.number(minutes), german.number(minutes)
                pairs.append(
                    parse_pair(f"{left}_a {before}_c {en}_b", f"{right}_a {after}_c {de}_b")
                )
    return pairs


def timetable() -> list[Pair]:
    """Return timetable times of the twenty-four-hour clock."""
    pairs = []
    for hour in range(6, 24):
        for minutes in (10, 15, 20, 25, 30, 35, 40, 45, 50, 55):
            left = f"{english.number(hour)}_a {english.number(minutes)}_b"
            right = f"{german.number(hour)}_a Uhr {german.number(minutes)}_b"
            pairs.append(parse_pair(left, right))
    return pairs


def dates() -> list[Pair]:
    """Return dates such as 'on the third of May'."""
    return [
        parse_pair(
            f"on_a the_a {english.ordinal(day)}_b of {en}_c",
            f"am_a {german.ordinal_dative(day)}_b {de}_c",
        )
        for en, de in _MONTHS.items()
        for day in range(1, 29)
    ]


def months() -> list[Pair]:
    """Return the names of the months."""
    return [parse_pair(en, de) for en, de in _MONTHS.items()]


def numbers(low: int, high: int) -> list[Pair]:
    """Return the numbers of a range."""
    return [parse_pair(english.number(n), german.number(n)) for n in range(low, high + 1)]


def prices(low: int, high: int) -> list[Pair]:
    """Return prices in whole euros and with cents."""
    pairs = []
    for euros in range(low, high + 1):
        left, right = english.number(euros), german.number(euros)
        pairs.append(parse_pair(f"{left}_a euros_b", f"{right}_a Euro_b"))
        if euros <= 20:
            for cents in (20, 50, 80):
                tail = f"{english.number(cents)}_c", f"{german.number(cents)}_c"
                pairs.append(
                    parse_pair(f"{left}_a euros_b {tail[0]}", f"{right}_a Euro_b {tail[1]}")
                )
    return pairs


def round_prices() -> list[Pair]:
    """Return the prices of larger things, in whole euros."""
    values = (25, 30, 35, 40, 45, 50, 60, 70, 80, 90)
    return [
        parse_pair(f"{english.number(v)}_a euros_b", f"{german.number(v)}_a Euro_b") for v in values
    ]


def hundreds() -> list[Pair]:
    """Return monthly rents, in full hundreds and half hundreds of euros."""
    pairs = []
    for value in range(3, 10):
        left = f"{english.number(value)}_a hundred_a"
        pairs.append(parse_pair(f"{left} euros_b", f"{german.number(value * 100)}_a Euro_b"))
        pairs.append(
            parse_pair(
                f"{left} and_a fifty_a euros_b", f"{german.number(value * 100 + 50)}_a Euro_b"
            )
        )
    return pairs
