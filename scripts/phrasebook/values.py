"""Fillers of the slots of a frame; each value renders its words in both languages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from phrasebook import german
from phrasebook.entries import Adjective, Noun, Person, Verb
from phrasebook.tokens import Pair, Token, Words

_DETERMINERS = ("the", "a", "no", "this", "which", "every", "poss", "some", "any")
_EN_WORD = {"some": "some", "any": "any", "which": "which", "every": "every", "no": "no"}
_EN_VERB = {"base": 0, "past": 2, "pp": 3, "ing": 4}


class Value(Protocol):
    """A filler that can be put into words."""

    def render(self, lang: str, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        """Return the words for the requested features."""


def head(slot: str) -> frozenset[str]:
    """Return the key of a one-word slot, which literals of the frame may share."""
    return frozenset({f".{slot}"})


@dataclass(frozen=True, slots=True)
class PhraseValue:
    """A fixed phrase."""

    pair: Pair

    def render(self, lang: str, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        """Return the phrase as it is."""
        return self.pair.side(lang, slot)


@dataclass(frozen=True, slots=True)
class AdjectiveValue:
    """An adjective used predicatively."""

    adjective: Adjective

    def render(self, lang: str, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        """Return the positive or, for 'cmp', the comparative."""
        degree = 1 if "cmp" in feats else 0
        text = (self.adjective.en if lang == "en" else self.adjective.de)[degree]
        return [Token(word, head(slot)) for word in text.split()]


@dataclass(frozen=True, slots=True)
class NounValue:
    """A noun with an optional adjective."""

    noun: Noun
    adjective: Adjective | None = None

    def render(self, lang: str, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        """Return the noun phrase, or the pronoun that stands for it."""
        if "to" in feats or "at" in feats:
            return self._place(lang, slot, feats)
        if lang == "en":
            return self._english(slot, feats, agree)
        return self._german(slot, feats, agree)

    def _place(self, lang: str, slot: str, feats: tuple[str, ...]) -> Words:
        going = "to" in feats
        if lang == "en":
            preposition, case = ("to" if going else self.noun.at[0]), "nom"
        else:
            preposition = self.noun.to if going else self.noun.at[1]
            case = "acc" if going and preposition in ("in", "an", "auf") else "dat"
        word = Token(preposition, frozenset({f"{slot}.p"}))
        return [word, *self.render(lang, slot, ("the", case), None)]

    def _english(self, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        many = "pl" in feats
        kind = next((f for f in feats if f in _DETERMINERS), "")
        words: Words = []
        if kind == "poss" and agree is not None:
            words.append(Token(agree.en[2], frozenset({f"{slot}.d"})))
        elif kind:
            text = {"this": "these" if many else "this"}.get(kind, _EN_WORD.get(kind, kind))
            words.append(Token(text, frozenset({f"{slot}.d"})))
        if self.adjective is not None and "bare" not in feats:
            degree = 1 if "cmp" in feats else 2 if "sup" in feats else 0
            for part in self.adjective.en[degree].split():
                words.append(Token(part, frozenset({f"{slot}.a"})))
        text = self.noun.en_plural if many else self.noun.en
        words.extend(Token(part, frozenset({f"{slot}.n"})) for part in text.split())
        return words

    def _german(self, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        case = next((f for f in feats if f in german.CASES), "nom")
        gender = "pl" if "pl" in feats else self.noun.gender
        if "rel" in feats or "it" in feats:
            kind = "rel" if "rel" in feats else "it"
            return [Token(german.determiner(kind, gender, case), head(slot), fixed=True)]
        kind = next((f for f in feats if f in _DETERMINERS), "")
        possessive = agree.possessive if agree is not None else ""
        words: Words = []
        article = german.determiner(kind, gender, case, possessive)
        if article:
            words.append(Token(article, frozenset({f"{slot}.d"})))
        if self.adjective is not None and "bare" not in feats:
            stem = self.adjective.stem
            if "cmp" in feats or "sup" in feats:
                stem = self.adjective.de[1 if "cmp" in feats else 2]
            ending = german.adjective(stem, kind, gender, case)
            words.append(Token(ending, frozenset({f"{slot}.a"})))
        noun = self.noun
        text = german.decline(noun.de, noun.plural, noun.weak, gender, case)
        words.append(Token(text, frozenset({f"{slot}.n"})))
        return words


@dataclass(frozen=True, slots=True)
class PersonValue:
    """A pronoun, a name, a relative or a person who is addressed."""

    person: Person

    def render(self, lang: str, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        """Return the subject, object, possessive or vocative form."""
        person = self.person
        if "voc" in feats:
            return person.voc.side(lang, slot)
        if lang == "en":
            form = 2 if "poss" in feats else 1 if "acc" in feats or "dat" in feats else 0
            words = person.en[form].split()
        else:
            case = next((f for f in feats if f in german.CASES), "nom")
            words = person.de[german.CASES.index(case)].split()
        if len(words) == 1 or "poss" in feats:
            return [Token(word, head(slot)) for word in words]
        keyed = [Token(word, frozenset({f"{slot}.{i}"})) for i, word in enumerate(words)]
        return [Token(words[0], keyed[0].keys | head(slot)), *keyed[1:]]


@dataclass(frozen=True, slots=True)
class VerbValue:
    """A verb, with its fixed complement if it has one."""

    verb: Verb

    def render(self, lang: str, slot: str, feats: tuple[str, ...], agree: Person | None) -> Words:
        """Return the verb form named by the first feature."""
        index = agree.index if agree is not None else 2
        if lang == "en":
            return self._english(slot, feats[0], index)
        return self._german(slot, feats[0], agree, index)

    def _english(self, slot: str, form: str, index: int) -> Words:
        if form == "rest":
            return self.verb.rest.side("en", slot)
        column = (1 if index == 2 else 0) if form == "pres" else _EN_VERB[form]
        words = [Token(word, head(slot)) for word in self.verb.en[column].split()]
        return words + self.verb.rest.side("en", slot)

    def _german(self, slot: str, form: str, agree: Person | None, index: int) -> Words:
        verb, keys = self.verb, head(slot)
        if form == "mid":
            return self.verb.rest.side("de", slot)
        if form == "aux":
            return [Token(AUXILIARIES[verb.aux][index], keys)]
        if form == "pre":
            return [Token(verb.prefix, keys)] if verb.prefix else []
        if form == "imp":
            return self._imperative(keys, agree, index)
        if form == "zu" and not verb.prefix:
            return [Token("zu", frozenset({f"{slot}.d"})), Token(verb.de, keys)]
        text = {
            "fin": verb.forms[index],
            "join": verb.prefix + verb.forms[index],
            "inf": verb.prefix + verb.de,
            "zu": verb.prefix + "zu" + verb.de,
            "pp": verb.participle,
        }[form]
        return [Token(text, keys | ({f"{slot}.d"} if form == "zu" else frozenset()))]

    def _imperative(self, keys: frozenset[str], agree: Person | None, index: int) -> Words:
        if index == 1:
            return [Token(self.verb.imperative, keys)]
        if index == 4:
            return [Token(self.verb.forms[4], keys)]
        return [Token(self.verb.de, keys), Token("Sie", keys)]


AUXILIARIES = {
    name: tuple(row.split())
    for name, row in {
        "sein": "bin bist ist sind seid sind",
        "haben": "habe hast hat haben habt haben",
        "werden": "werde wirst wird werden werdet werden",
        "können": "kann kannst kann können könnt können",
        "müssen": "muss musst muss müssen müsst müssen",
        "wollen": "will willst will wollen wollt wollen",
        "dürfen": "darf darfst darf dürfen dürft dürfen",
        "sollen": "soll sollst soll sollen sollt sollen",
        "möchten": "möchte möchtest möchte möchten möchtet möchten",
        "wissen": "weiß weißt weiß wissen wisst wissen",
        "war": "war warst war waren wart waren",
        "hatte": "hatte hattest hatte hatten hattet hatten",
        "konnte": "konnte konntest konnte konnten konntet konnten",
        "musste": "musste musstest musste mussten musstet mussten",
        "wollte": "wollte wolltest wollte wollten wolltet wollten",
        "könnte": "könnte könntest könnte könnten könntet könnten",
        "würde": "würde würdest würde würden würdet würden",
        "sollte": "sollte solltest sollte sollten solltet sollten",
        "wurde": "wurde wurdest wurde wurden wurdet wurden",
        "hätte": "hätte hättest hätte hätten hättet hätten",
    }.items()
}
