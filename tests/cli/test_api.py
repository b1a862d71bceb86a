"""`import nmt`: what the Python interface returns is what the commands print."""

import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import pytest
import torch

import nmt
from nmt import runtime
from nmt.config.model import ModelConfig
from nmt.decoding import prepared_weights
from nmt.decoding.translator import Translator
from nmt.reporting.heatmaps.heatmap import Heatmap
from nmt.reporting.pages.heatmap_table import heatmap_table

Command = Callable[..., Any]

SENTENCES = ["one two three", "", "four", "five six seven eight nine", "ten one"]


@pytest.fixture(name="nmt_command")
def _command(request: pytest.FixtureRequest) -> Command:
    return request.getfixturevalue("nmt")  # type: ignore[no-any-return]


@pytest.fixture
def path(
    model_file: Callable[[ModelConfig], Path], tiny_config: Callable[..., ModelConfig]
) -> Path:
    return model_file(tiny_config("transformer", "transformer", num_layers=2))


def test_a_sentence_a_list_and_a_generator_give_the_same(path: Path) -> None:
    model = nmt.load(str(path))
    expected = [t.text for t in Translator.from_checkpoint(path).translate(SENTENCES)]
    assert model.translate(SENTENCES) == expected
    assert [model.translate(sentence) for sentence in SENTENCES] == expected
    assert list(model.translate(sentence for sentence in SENTENCES)) == expected
    assert expected[1] == ""


def test_a_generator_is_read_a_few_batches_ahead(path: Path) -> None:
    model = nmt.load(path)
    read = []

    def endless() -> Iterator[str]:
        while True:
            read.append(len(read))
            yield "one two"

    translations = model.translate(endless())
    assert next(translations) == model.translate("one two")
    assert len(read) <= 16 * model.config.decoding.batch_size


def test_threads_get_their_own_results(path: Path) -> None:
    model = nmt.load(path)
    alone = model.translate(SENTENCES)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(model.translate, SENTENCES * 5)) == alone * 5


def test_one_call_computes_at_a_time(path: Path) -> None:
    model = nmt.load(path)
    computing, most = set[int](), list[int]()

    def watch(*_: object) -> None:
        computing.add(threading.get_ident())
        time.sleep(0.001)
        most.append(len(computing))

    network = model._translator.model
    network.register_forward_pre_hook(watch)
    network.encoder.register_forward_pre_hook(watch)
    network.encoder.register_forward_hook(lambda *_: computing.discard(threading.get_ident()))
    with ThreadPoolExecutor(4) as pool:
        calls = [
            pool.submit(call, "one two")
            for call in (model.attention, model.translate, model.attention) * 3
        ]
        assert all(call.result() for call in calls)
    assert set(most) == {1}


def test_scores_and_samples_are_exact_where_a_search_is_not(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = nmt.load(path, precision="float32")
    with monkeypatch.context() as patch:  # as on a GPU, where weights stay in float32
        patch.setattr(runtime, "pick_search_precision", lambda *_: torch.bfloat16)
        patch.setattr(prepared_weights, "cast_for_search", lambda *_: None)
        model = nmt.load(path)
    assert model._translator.precision == torch.bfloat16
    # As those of the other model; on a GPU, none are.
    model._translator.in_float32().prepare_weights()
    assert model.score("one two", "eins") == exact.score("one two", "eins")
    sampling = nmt.Sampling(seed=5)
    assert model.search(["one two"], sampling=sampling) == exact.search(
        ["one two"], sampling=sampling
    )
    rough = nmt.load(path, precision="bfloat16")
    assert rough.score("one two", "eins") != exact.score("one two", "eins")


def test_candidates_are_ranked_and_scored_as_given_translations_are(path: Path) -> None:
    model = nmt.load(path)
    blank, *found = model.search(["", *SENTENCES[2:]], n_best=3, beam_size=3)
    assert (blank.text, blank.candidates) == ("", [])
    for translation in found:
        scores = [candidate.score for candidate in translation.candidates]
        assert scores == sorted(scores, reverse=True)
        assert len(scores) == 3
        assert (
            translation.text
            == translation.candidates[0].text
            == model.translate(translation.source, beam_size=3)
        )
    assert len(model.search(["one"], beam_size=1)[0].candidates) == 1
    drawn = model.search(SENTENCES, sampling=nmt.Sampling(seed=5), n_best=2)
    again = model.search(SENTENCES, sampling=nmt.Sampling(seed=5), n_best=2)
    assert drawn == again
    scored = model.score(SENTENCES, SENTENCES)
    assert [one.log_prob for one in scored] == pytest.approx(
        [model.score(text, text).log_prob for text in SENTENCES], abs=1e-4
    )


def test_attention_of_a_candidate_is_that_of_the_forced_translation(path: Path) -> None:
    model = nmt.load(path)
    (found,) = model.search(["four"], attention=True)
    shown = found.candidates[0].attention
    assert shown is not None
    assert shown.map.weights.sum(3) == pytest.approx(1, abs=1e-4)
    own = model.attention("four")
    assert own.map.weights == pytest.approx(shown.map.weights, abs=1e-5)
    forced = model.attention("one two", "eins zwei drei")
    assert forced.map.source == ["one", "two", "</s>"]
    assert all(source < 2 and target < 3 for source, target in forced.links)
    assert forced._repr_html_().count("<tr>") == 1 + len(forced.map.target)


def test_a_heatmap_as_a_table_has_no_markup_of_the_text() -> None:
    page = heatmap_table(Heatmap(np.array([[0.0, 1.0, np.nan]]), ["a", "&", "\x1b"], ["<b>"]))
    assert "&lt;b&gt;" in page
    assert "&amp;" in page
    assert page.count("<td ") == 3
    assert not any(unwanted in page for unwanted in ("<b>", "http", "<script", "\x1b"))


def test_wrong_use_is_refused(path: Path, tmp_path: Path) -> None:
    model: Any = nmt.load(path)
    for call, message in (
        (lambda: nmt.load(tmp_path / "missing"), "there is no run"),
        (lambda: model.search(["one"], n_best=0), "at least 1"),
        (lambda: model.search(["one"], n_best=3, beam_size=2), "at most the beam size"),
        (lambda: model.translate("one", beam_size=0), "beam size is 0"),
        (
            lambda: model.score(["one"], []),
            r"number of sentences \(1\) differs from the number of translations \(0\)",
        ),
        (lambda: model.attention(" "), "blank"),
        (lambda: model.translate(iter(["one"]), beam_size=0), "beam size is 0"),
        (lambda: model.search("one two"), "into a list"),
        (lambda: model.search(["one"], sampling=nmt.Sampling(count=3)), "n_best is 1"),
        (
            lambda: model.search(["one"], sampling=nmt.Sampling(count=3), minimum_risk=4),
            "count is 3, but minimum_risk is 4",
        ),
        (lambda: nmt.train("model=rnn"), "into a list"),
        (lambda: nmt.train(["-m", "seed=1,2"]), "-m is an option"),
        (lambda: nmt.load(path, threads=0), "threads is 0"),
        (lambda: model.translate("a \udcff"), "character 3 is a byte that is not UTF-8"),
        (lambda: model.score("a", "\ud800"), "not valid text"),
        (lambda: model.attention("a", "\ud800"), "not valid text"),
        (lambda: model.translate(b"one"), "translate is of type bytes, not text: decode it first"),
        (lambda: model.translate(None), "translate is of type NoneType, not text: give a str"),
        (lambda: model.translate({"text": "one"}), "translate is of type dict"),
        (lambda: model.translate(["one", None]), "text 2 of the list is of type NoneType"),
        (lambda: model.translate([b"one"]), "text 1 of the list is of type bytes"),
        (lambda: list(model.translate(iter(["one", 2]))), "text 2 of the list is of type int"),
        (lambda: model.search(None), "search is of type NoneType"),
        (lambda: model.score("a", None), "an argument is of type NoneType"),
        (lambda: model.score(b"a", "b"), "an argument is of type bytes"),
        (lambda: model.attention(None), "text 1 of the list is of type NoneType"),
        (lambda: model.attention("a", 3), "text 2 of the list is of type int"),
    ):
        with pytest.raises(nmt.UserError, match=message):
            call()


def test_a_model_without_attention_translates_and_refuses_to_show_it(
    model_file: Callable[[ModelConfig], Path], tiny_config: Callable[..., ModelConfig]
) -> None:
    model = nmt.load(model_file(tiny_config(attention="none")))
    assert model.search(["one"], attention=True)[0].candidates[0].attention is None
    with pytest.raises(nmt.UserError, match="no attention"):
        model.attention("one")


def test_importing_the_package_loads_neither_torch_nor_hydra() -> None:
    code = (
        "import nmt, sys; nmt.__version__; assert 'load' in dir(nmt); "
        "print([m for m in ('torch', 'hydra', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = nmt.nothing


def test_the_examples_of_the_page_run(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One example trains, which tests of the command cover."""
    page = Path(__file__).resolve().parents[2] / "docs" / "python.md"
    examples = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    shutil.copy(path, "demo.pt")
    (tmp_path / "sentences.en").write_text("one two\n\nthree\n", encoding="utf-8")
    names: dict[str, object] = {}
    training = [example for example in examples if "nmt.train(" in example]
    assert len(training) == 1
    for example in examples:
        if example not in training:
            exec(example.replace("runs/demo", "demo.pt"), names)
    assert (tmp_path / "picture.png").stat().st_size > 0


def test_train_gives_the_run_of_the_command(
    tmp_path: Path,
    corpus: Path,
    tiny: Callable[[Path], list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = [*tiny(corpus), f"run.dir={tmp_path / 'run'}"]
    with ThreadPoolExecutor(1) as pool:  # as a notebook or a server may call it
        outcome = pool.submit(nmt.train, settings).result()
    assert capsys.readouterr().out == ""
    assert outcome.summary is not None
    again = nmt.train(settings)
    assert again.already_finished
    assert again.summary == outcome.summary
    assert nmt.load(tmp_path / "run").translate([""]) == [""]


def test_a_program_that_uses_hydra_itself_can_train(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("answer: 42\n", encoding="utf-8")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"):
        with pytest.raises(nmt.UserError, match="adem"):
            nmt.train(["optimizer=adem"])
        assert hydra.compose("own").answer == 42


LONG = "One two three. Four five six seven. Eight nine ten one two. Three four five."


def test_a_long_sentence_is_cut_as_by_the_command(path: Path, nmt_command: Command) -> None:
    model = nmt.load(path)
    expected = nmt_command("translate", "--model", path, "--max-length", 9, "--beam-size", 2, LONG)
    assert "it is translated in" in expected.err
    assert model.translate(LONG, max_length=9, beam_size=2) == expected.out.rstrip("\n")
    (found,) = model.search([LONG], max_length=9, n_best=2, attention=True)
    assert found.source == LONG
    assert all(candidate.attention is None for candidate in found.candidates)
    whole = [t.text for t in Translator.from_checkpoint(path).translate([LONG])]
    assert [model.translate(LONG, max_length=9, long_lines="whole")] == whole
    assert list(model.translate(iter([LONG, "one"]), max_length=9)) == [
        model.translate(LONG, max_length=9),
        model.translate("one"),
    ]


def test_samples_of_a_sentence_do_not_depend_on_the_parts_of_others(path: Path) -> None:
    model = nmt.load(path)
    sampling = nmt.Sampling(seed=3)
    alone = model.search(["one two", "three"], sampling=sampling)
    beside = model.search([LONG, "three"], sampling=sampling, max_length=9)
    assert alone[1].text == beside[1].text


def test_the_limit_of_long_sentences_is_checked(path: Path) -> None:
    model = nmt.load(path)
    with pytest.raises(nmt.UserError, match=r"sentence 2 has \d+ pieces, more than max_length=9"):
        model.translate(["one", LONG], max_length=9, long_lines="refuse")
    with pytest.raises(nmt.UserError, match=r"long_lines is 'cut'; choose from split, refuse"):
        model.translate("one", long_lines="cut")
    with pytest.raises(nmt.UserError, match=r"max_length is 0; it must be from 1 to 10,000"):
        model.translate(iter(["one"]), max_length=0)
