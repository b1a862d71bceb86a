"""Characters that the tokenizer cannot give back are named, with counts and the setting."""

from pathlib import Path

import pytest

from nmt.cli.data_check import DataCheckOptions, run_check
from nmt.config.tokenizer_settings import Normalization, TokenizerConfig
from nmt.data_check.changed_characters import changed_character_findings, changed_characters
from nmt.data_check.check_report import DataReport
from nmt.data_check.chunk_inspection import count_characters
from nmt.text.tokenizer import Tokenizer, train_tokenizers

TEXTS = [
    "من کتاب\u200cها را می\u200cخوانم.",
    "你好，世界！（测试）？",
    "Der Raum hat 20 m² – ½ Preis… „ja“ Straße",
    "ﬁne Preis™ ①",
    "ｶﾀｶﾅ 5\u00a0€",
    "क\u200dष café ç",
]


def _tokenizer(**changes: object) -> Tokenizer:
    config = TokenizerConfig(name="char", vocab_size=300, **changes)  # type: ignore[arg-type]
    return train_tokenizers(config, TEXTS, TEXTS).target


@pytest.mark.parametrize("normalization", [*Normalization])
def test_exactly_the_characters_that_do_not_come_back_are_found(normalization: str) -> None:
    tokenizer = _tokenizer(normalization=normalization)
    found = {one.character for one in changed_characters(tokenizer, count_characters(TEXTS))}
    for text in TEXTS:
        back = tokenizer.decode(tokenizer.encode(text))
        assert bool(found & set(text)) == (back != text)
    if normalization in ("nfc", "identity"):
        assert not found
    if normalization == "nmt_nfkc":
        assert found == set("\u200c，！（）？²½…ﬁ™①ｶﾀﾅ\u00a0")


def test_the_finding_names_characters_counts_and_the_setting() -> None:
    counts = count_characters([*TEXTS, TEXTS[0]])
    (finding,) = changed_character_findings(_tokenizer(normalization="nmt_nfkc"), counts, "fa")
    assert finding.message.startswith("20 characters of the target side (fa) can never be written")
    assert "U+200C ZERO WIDTH NON-JOINER 4 x becomes a space; " in finding.message
    assert "U+00B2 ² SUPERSCRIPT TWO 1 x becomes 2; " in finding.message
    assert finding.message.endswith("; and 11 more kinds")
    assert "tokenizer.normalization=nfc" in finding.remedy
    tokenizer = _tokenizer(byte_fallback=False, character_coverage=0.98, normalization="identity")
    found = list(changed_character_findings(tokenizer, {"犬": 3}, "zh"))
    assert "byte_fallback=true" in found[0].remedy
    corpus = {"name": "mine", "source_language": "en", "target_language": "fa"}
    lines = DataReport(corpus, [], [finding]).short_lines()
    assert finding.message in lines[1]
    assert finding.remedy in lines[1]


def test_the_check_reports_them_even_for_a_small_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.en").write_text("I read the books.\nThey run.\n")
    (tmp_path / "x.fa").write_text(f"{TEXTS[0]}\nمی\u200cدوند.\n")
    files = [str(tmp_path / "x.en"), str(tmp_path / "x.fa")]
    message = "3 characters of the target side (fa) can never be written"
    run_check(DataCheckOptions([*files, "tokenizer.normalization=nmt_nfkc"], as_json=True))
    assert message in capsys.readouterr().out
    run_check(DataCheckOptions(files, as_json=True))  # the default keeps them
    assert message not in capsys.readouterr().out
