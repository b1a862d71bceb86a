"""The texts of the rules in the report."""

from dataclasses import dataclass

from nmt.data_check.chunk_inspection import LONGEST_WORD, MOST_RATIO, MOST_WORDS


@dataclass(frozen=True)
class RuleText:
    """The text of a rule.

    Attributes:
        one: The predicate after "1 line", with a singular verb.
        many: The predicate after "2 lines", with a plural verb.
        why: The harm, or what nmt does about it.
        remedy: What to do.
        command: A shell command for the remedy; ``{file}`` is the file of the first location.
        unit: The counted unit, in the singular.
    """

    one: str
    many: str
    why: str
    remedy: str
    command: str = ""
    unit: str = "line"


_DROPPED = "training drops them; check that the lines around them still belong together"
_BY_HAND = "check the lines named here; if they are wrong, fix or delete both sides of the pair"

RULES = {
    "crlf": RuleText(
        "ends in a carriage return (a Windows line end)",
        "end in a carriage return (Windows line ends)",
        "nmt removes it, but other tools read it as a character",
        "nothing has to be done; to clean the file",
        "sed -i 's/\\r$//' '{file}'",
    ),
    "line_break_inside": RuleText(
        "has a line break of another kind inside (CR, U+2028, ...)",
        "have a line break of another kind inside (CR, U+2028, ...)",
        "other tools split the line there, which shifts the sides; nmt reads one line",
        "join the parts, or split both sides there; for an old Macintosh file",
        "tr '\\r' '\\n' < '{file}' > FILE",
    ),
    "byte_order_mark": RuleText(
        "begins with a byte-order mark",
        "begin with a byte-order mark",
        "nmt removes it at the beginning of a file, but other tools read it as part of a word",
        "nothing has to be done; to clean the file",
        "sed -i '1s/^\\xEF\\xBB\\xBF//' '{file}'",
    ),
    "control_character": RuleText(
        "contains control characters, which are invisible",
        "contain control characters, which are invisible",
        "they use up the vocabulary, and often show that the file is damaged",
        "remove them",
        "tr -d '\\000-\\010\\016-\\037\\177' < '{file}' > FILE",
    ),
    "replacement_character": RuleText(
        "contains U+FFFD, which stands for characters lost in an earlier conversion",
        "contain U+FFFD, which stands for characters lost in an earlier conversion",
        "the model would learn to write it",
        "convert the original again from its real encoding, or delete these pairs",
    ),
    "invisible_character": RuleText(
        "contains invisible characters (zero-width, soft hyphen, direction marks)",
        "contain invisible characters (zero-width, soft hyphen, direction marks)",
        "words that look the same become different pieces",
        "remove them",
        "LC_ALL=C sed -i 's/\\xC2\\xAD//g; s/\\xE2\\x80[\\x8B\\x8E\\x8F\\xAA-\\xAE]//g; "
        "s/\\xE2\\x81[\\xA0-\\xA4\\xA6-\\xA9]//g; s/\\xEF\\xBB\\xBF//g' '{file}'",
    ),
    "tab": RuleText(
        "contains a tab",
        "contain a tab",
        "the file may be a table of both sides, or columns were pasted into a text",
        "if it is a table, give it as one file, FILE.tsv; otherwise remove the tabs",
        "sed -i 's/\\t/ /g' '{file}'",
    ),
    "mojibake": RuleText(
        "looks garbled (UTF-8 read as Latin-1: Ã¼ for ü)",
        "look garbled (UTF-8 read as Latin-1: Ã¼ for ü)",
        "the model would learn the garbled spelling",
        "fix it line by line with ftfy, a Python package; if all of it is garbled, convert it",
        "iconv -f UTF-8 -t LATIN1 '{file}' > FILE",
    ),
    "not_composed": RuleText(
        "has letters and accents as separate characters (Unicode not in NFC)",
        "have letters and accents as separate characters (Unicode not in NFC)",
        "the same word would be spelled in two ways",
        "keep tokenizer.normalization=nfc, which composes them; or compose them in the file",
        "uconv -x any-nfc '{file}' > FILE",
    ),
    "markup": RuleText(
        "contains HTML (&amp; or <b>)",
        "contain HTML (&amp; or <b>)",
        "the model would learn to write it",
        "delete tags, and decode the entities",
        "python3 -c 'import html, sys; "
        "[print(html.unescape(l), end=\"\") for l in sys.stdin]' < '{file}' > FILE",
    ),
    "spaces": RuleText(
        "has spaces at its beginning or end, or two in a row",
        "have spaces at their beginning or end, or two in a row",
        "harmless: the tokenizer leaves out such spaces",
        "nothing has to be done; to clean the file",
        "sed -i 's/  */ /g; s/^ //; s/ $//' '{file}'",
    ),
    "spreadsheet_error": RuleText(
        "is an error of a spreadsheet formula (#REF!, #N/A)",
        "are errors of spreadsheet formulas (#REF!, #N/A)",
        "the model would learn to write it",
        "fix the formula in the sheet and export it again, or delete these rows",
    ),
    "quoted_cell": RuleText(
        "is a cell in quotation marks, with doubled ones inside, as tables have them",
        "are cells in quotation marks, with doubled ones inside, as tables have them",
        "the model would learn to write them",
        "read the table with quotes: data.train.quotes=cells",
    ),
    "blank": RuleText(
        "is blank where the other side has text",
        "are blank where the other side has text",
        "often a lost line is the cause, which shifts the sides after it",
        _DROPPED,
    ),
    "both_blank": RuleText(
        "is blank on both sides", "are blank on both sides", "there is nothing to learn", _DROPPED
    ),
    "many_words": RuleText(
        f"has more than {MOST_WORDS} words",
        f"have more than {MOST_WORDS} words",
        "usually several sentences or whole paragraphs, which take much memory",
        f"split them into sentences, or drop them: data.filters.max_words={MOST_WORDS}",
    ),
    "long_word": RuleText(
        f"has a word of more than {LONGEST_WORD:,} characters",
        f"have a word of more than {LONGEST_WORD:,} characters",
        "no word is that long: it is encoded data, or text without spaces",
        "delete these pairs; data.max_length drops them if they have too many pieces",
    ),
    "ratio": RuleText(
        f"is more than {MOST_RATIO:g} times as long on one side as on the other",
        f"are more than {MOST_RATIO:g} times as long on one side as on the other",
        "the sides of such pairs are rarely translations of each other",
        f"{_BY_HAND}; or drop them: data.filters.max_ratio={MOST_RATIO:g}",
        unit="pair",
    ),
    "copy": RuleText(
        "is the same on both sides",
        "are the same on both sides",
        "untranslated text teaches the model to copy (only names should be the same)",
        "drop them: data.filters.copies=true",
        unit="pair",
    ),
    "number_only": RuleText(
        "is only a number or a date on one side, and has words without it on the other",
        "are only a number or a date on one side, and have words without it on the other",
        "such sides are rarely translations of each other; often a column of numbers was taken as "
        "text",
        f"{_BY_HAND}; or drop them: data.filters.numbers=true",
        unit="pair",
    ),
    "wrong_script": RuleText(
        "is not in the script of its language",
        "are not in the script of their language",
        "the text is in another language, or the two sides are swapped",
        "check that the source and target files are not swapped; or drop such pairs: "
        "data.filters.scripts=true",
    ),
    "duplicate": RuleText(
        "repeats an earlier pair, the same on both sides",
        "repeat earlier pairs, the same on both sides",
        "the model memorizes repeated pairs and weights them more than others",
        "drop them: data.filters.duplicates=exact",
        unit="pair",
    ),
    "overlap": RuleText(
        "is also a training pair",
        "are also training pairs",
        "scores on training text do not show how well new text is translated",
        "drop them from training: data.filters.test_overlap=true",
        unit="pair",
    ),
    "source_overlap": RuleText(
        "has a source that is also in the training pairs, with another translation",
        "have sources that are also in the training pairs, with other translations",
        "scores on training text are too high",
        "drop them from training: data.filters.test_overlap=true",
        unit="pair",
    ),
}

OF_RECORDS = {
    "line_break_inside": (
        "nmt reads it as a space",
        "nothing has to be done; if a text has several sentences, split it",
    ),
    "blank": (
        "the translation is missing, or was lost when the file was written",
        "training drops them; translate them where the file was made, and export it again",
    ),
    "crlf": ("nmt removes it", "nothing has to be done"),
    "both_blank": ("there is nothing to learn", "training drops them"),
    "spaces": ("harmless: the tokenizer leaves out such spaces", "nothing has to be done"),
    "markup": (
        "the model would learn to write it",
        "delete tags and decode entities in the program that wrote the file",
    ),
}
"""Reasons and remedies for files with both sides in a record, where no side can shift.

A shell command for lines could miss the ends of cells, or damage the file: a decoded ``&quot;``
may end a cell.
"""

ORDER = (
    "looks_reordered",
    "looks_exchanged",
    "overlap",
    "source_overlap",
    "wrong_script",
    "mojibake",
    "spreadsheet_error",
    "quoted_cell",
    "replacement_character",
    "blank",
    "number_only",
    "ratio",
    "copy",
    "duplicate",
    "changed_characters",
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
"""Rules about pairs and texts, the most harmful first."""

FAULT_REMEDIES = {
    "missing_file": "check the name and the folder; a name with spaces needs quotes",
    "unreadable": "download or create the file again; a file named .gz, .bz2, .xz or .zst must "
    "have that format",
    "settings": "fix that setting, or give it after the files, and check again",
    "read_as": "nothing has to be done",
    "read_with_quotes": "nothing has to be done; if the quotation marks are part of the text: "
    "data.train.quotes=literal",
    "too_many_faulty": "fix them in the sheet, or raise data.max_faulty to leave them out",
    "spreadsheet_error": "fix the formula in the sheet and export it again, or delete these rows",
    "other_file": "open it in its program and save it as CSV UTF-8",
    "no_text": "give the file with the text; check whether a download or a command failed",
    "unequal_lines": "find the line that is missing or doubled, fix that file, and check again",
    "not_text": "give it a text, or remove the row",
    "missing_column": "name them: data.train.source_column=NAME data.train.target_column=NAME",
    "too_few_columns": "fix that row: it must contain both sides, one in each column",
    "too_many_columns": "fix that row: remove the separator inside a text, or quote the text",
    "bad_quotes": "close the quote; inside a quoted field, a quote is written twice",
    "not_json": "fix or delete that line; every line is one JSON object",
}
"""Remedies for faults of files; their messages name the position."""

OWN_REMEDY = ("not_utf8", "utf16")
"""Faults whose own message contains a better remedy, with the encoding."""

DEFAULT_REMEDY = "fix the file at that position, then check again"
