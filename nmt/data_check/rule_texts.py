"""Every rule of the report in the words of someone who has never read the documentation."""

from dataclasses import dataclass

from nmt.data_check.inspection import LONGEST_WORD, MOST_RATIO, MOST_WORDS


@dataclass(frozen=True)
class Rule:
    """How a rule is told.

    Attributes:
        one: What one line of which it is true does, as in "1 line ...".
        many: The same of several.
        why: Why it hurts, or what becomes of it.
        remedy: What to do.
        command: How, in a shell; ``{file}`` is the file of the first place.
        unit: What is counted.
    """

    one: str
    many: str
    why: str
    remedy: str
    command: str = ""
    unit: str = "line"


_LEFT_OUT = "training leaves them out; look whether the lines around them still belong together"
_BY_HAND = "look at the lines named here; if they are wrong, mend or delete both sides of the pair"

RULES = {
    "crlf": Rule(
        "ends in a carriage return (a Windows line end)",
        "end in a carriage return (Windows line ends)",
        "nmt takes it off, but other tools learn it as a character",
        "nothing has to be done; to clean the file",
        "sed -i 's/\\r$//' '{file}'",
    ),
    "line_break_inside": Rule(
        "has a line break of another kind inside (CR, U+2028, ...)",
        "have a line break of another kind inside (CR, U+2028, ...)",
        "tools cut there, and their sides shift; nmt reads it as one line",
        "join the parts, or cut both sides there; an old Macintosh file",
        "tr '\\r' '\\n' < '{file}' > FILE",
    ),
    "byte_order_mark": Rule(
        "begins with a byte-order mark",
        "begin with a byte-order mark",
        "nmt takes it off where a file begins, but other tools read it as part of the first word",
        "nothing has to be done; to clean the file",
        "sed -i '1s/^\\xEF\\xBB\\xBF//' '{file}'",
    ),
    "control_character": Rule(
        "holds control characters, which cannot be seen",
        "hold control characters, which cannot be seen",
        "they take places in the vocabulary and hint at a damaged file",
        "take them out",
        "tr -d '\\000-\\010\\016-\\037\\177' < '{file}' > FILE",
    ),
    "replacement_character": Rule(
        "holds U+FFFD, which stands for characters lost in an earlier conversion",
        "hold U+FFFD, which stands for characters lost in an earlier conversion",
        "the model would learn to write it",
        "convert the original again with its right encoding, or delete these pairs",
    ),
    "invisible_character": Rule(
        "holds invisible characters (zero-width, soft hyphen, direction marks)",
        "hold invisible characters (zero-width, soft hyphen, direction marks)",
        "words that look the same become different pieces",
        "take them out",
        "LC_ALL=C sed -i 's/\\xC2\\xAD//g; s/\\xE2\\x80[\\x8B\\x8E\\x8F\\xAA-\\xAE]//g; "
        "s/\\xE2\\x81[\\xA0-\\xA4\\xA6-\\xA9]//g; s/\\xEF\\xBB\\xBF//g' '{file}'",
    ),
    "tab": Rule(
        "holds a tab",
        "hold a tab",
        "the file may be a table of both sides, or columns were pasted into a text",
        "if it is a table, give it alone, as FILE.tsv; else take them out",
        "sed -i 's/\\t/ /g' '{file}'",
    ),
    "mojibake": Rule(
        "looks garbled (UTF-8 read as Latin-1: Ã¼ for ü)",
        "look garbled (UTF-8 read as Latin-1: Ã¼ for ü)",
        "the model would learn the garbled spelling",
        "mend it line by line with ftfy, a Python package; where all of it is garbled, convert it",
        "iconv -f UTF-8 -t LATIN1 '{file}' > FILE",
    ),
    "not_composed": Rule(
        "holds letters and accents apart (Unicode not in NFC)",
        "hold letters and accents apart (Unicode not in NFC)",
        "the same word would be spelled in two ways",
        "keep tokenizer.normalization=nmt_nfkc, which joins them; or do it in the file",
        "uconv -x any-nfc '{file}' > FILE",
    ),
    "markup": Rule(
        "holds HTML (&amp; or <b>)",
        "hold HTML (&amp; or <b>)",
        "the model would learn to write it",
        "delete tags, and undo the rest",
        "python3 -c 'import html, sys; "
        "[print(html.unescape(l), end=\"\") for l in sys.stdin]' < '{file}' > FILE",
    ),
    "spaces": Rule(
        "has spaces at an end or twice in a row",
        "have spaces at an end or twice in a row",
        "harmless with the usual tokenizer.normalization, which joins them; identity keeps them",
        "nothing has to be done; to clean the file",
        "sed -i 's/  */ /g; s/^ //; s/ $//' '{file}'",
    ),
    "blank": Rule(
        "is blank where the other side has text",
        "are blank where the other side has text",
        "often the sign of a lost line, from which on the sides are shifted",
        _LEFT_OUT,
    ),
    "both_blank": Rule(
        "is blank on both sides", "are blank on both sides", "there is nothing to learn", _LEFT_OUT
    ),
    "many_words": Rule(
        f"has more than {MOST_WORDS} words",
        f"have more than {MOST_WORDS} words",
        "usually several sentences or whole paragraphs, at a high cost of memory",
        f"cut them into sentences, or leave them out: data.filters.max_words={MOST_WORDS}",
    ),
    "long_word": Rule(
        f"has a word of more than {LONGEST_WORD:,} characters",
        f"have a word of more than {LONGEST_WORD:,} characters",
        "no word is that long: encoded data, or text without spaces",
        "delete these pairs; data.max_length leaves them out when they have too many pieces",
    ),
    "ratio": Rule(
        f"is more than {MOST_RATIO:g} times as long on one side as on the other",
        f"are more than {MOST_RATIO:g} times as long on one side as on the other",
        "such pairs are seldom translations of each other",
        f"{_BY_HAND}; or leave them out: data.filters.max_ratio={MOST_RATIO:g}",
        unit="pair",
    ),
    "copy": Rule(
        "is the same on both sides",
        "are the same on both sides",
        "from untranslated text the model learns to copy (names alone are fine)",
        "leave them out: data.filters.copies=true",
        unit="pair",
    ),
    "wrong_script": Rule(
        "is not in the script of its language",
        "are not in the script of their language",
        "text of another language, or the two sides are swapped",
        "check that the source and target files are not swapped; or leave such pairs out: "
        "data.filters.scripts=true",
    ),
    "duplicate": Rule(
        "was there before, the same on both sides",
        "were there before, the same on both sides",
        "repeated pairs are learned by heart and count more than others",
        "leave them out: data.filters.duplicates=exact",
        unit="pair",
    ),
    "overlap": Rule(
        "stands in the training pairs too",
        "stand in the training pairs too",
        "scores on text that was learned say nothing about new text",
        "leave them out of training: data.filters.test_overlap=true",
        unit="pair",
    ),
    "source_overlap": Rule(
        "has a source that stands in the training pairs too, with another translation",
        "have sources that stand in the training pairs too, with other translations",
        "scores on text that was learned come out too high",
        "leave them out of training: data.filters.test_overlap=true",
        unit="pair",
    ),
}

ORDER = (
    "overlap",
    "source_overlap",
    "wrong_script",
    "mojibake",
    "replacement_character",
    "blank",
    "ratio",
    "copy",
    "duplicate",
    "unknown_pieces",
    "long_word",
    "many_words",
    "line_break_inside",
    "control_character",
    "tab",
    "markup",
    "invisible_character",
    "not_composed",
    "crlf",
    "byte_order_mark",
    "both_blank",
    "spaces",
)
"""Rules of single pairs and texts, those that hurt most first."""

FAULT_REMEDIES = {
    "missing_file": "check the name and the folder; a name with spaces needs quotes",
    "unreadable": "fetch or make the file again; one that ends in .gz, .bz2, .xz or .zst must be "
    "such",
    "settings": "mend that setting, or give it behind the files, and check again",
    "not_utf8": "convert it, if LATIN1 is what it is in",
    "utf16": "convert it",
    "no_text": "give the file that holds the text; look whether a download or a command failed",
    "unequal_lines": "find the line that is missing or doubled, mend that file, and check again",
    "looks_swapped": "swap the two files, or data.source_language and data.target_language; if "
    "only the names are wrong, rename them, or train with data.on_doubt=warn",
    "looks_shifted": "find the line that is missing or doubled, and mend that file; if both sides "
    "are right after all, train with data.on_doubt=warn",
    "missing_column": "name them: data.train.source_column=NAME data.train.target_column=NAME",
    "too_few_columns": "mend that line: both sides must stand on it, one in each column",
    "too_many_columns": "mend that line: a separator inside a text must go, or be in quotes",
    "bad_quotes": "close the quote; a quote inside a field in quotes is written twice",
    "not_json": "mend or delete that line; every line is one JSON object",
}
"""What to do about faults of the files; their messages say where."""

FAULT_COMMANDS = {
    "not_utf8": "iconv -f LATIN1 -t UTF-8 '{file}' > FILE",
    "utf16": "iconv -f UTF-16 -t UTF-8 '{file}' > FILE",
}
"""How, in a shell."""

MEND = "mend the file there, then check again"
