"""The parts of scripts/gpu_check, each of which runs in a separate process.

    python scripts/gpu_check_parts.py PART OPTIONS FILE

OPTIONS is a JSON object. The figures are written to FILE as JSON after each step. So the figures of
a part that fails or is stopped are kept.
"""

import gc
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

LUONG = "model/decoder/attention=luong_general"
ROWS = {  # the trainings that are measured
    "small": ["experiment=bench_transformer"],
    "base": [
        "experiment=bench_transformer",
        "training.batch_tokens=25000",
        *(
            f"model.{side}.{setting}"
            for side in ("encoder", "decoder")
            for setting in (
                *("num_layers=6", "hidden_size=512", "num_heads=8"),
                "feed_forward_size=2048",
            )
        ),
    ],
    "big": [
        "experiment=bench_transformer",
        "training.batch_tokens=25000",
        *(
            f"model.{side}.{setting}"
            for side in ("encoder", "decoder")
            for setting in (
                *("num_layers=6", "hidden_size=1024", "num_heads=16"),
                "feed_forward_size=4096",
            )
        ),
    ],
    "gru-bahdanau": ["experiment=bench_rnn"],
    "gru-luong-fed": ["experiment=bench_rnn", LUONG],
    "gru-luong-unfed": [
        "experiment=bench_rnn",
        LUONG,
        "model.decoder.attention.input_feeding=false",
    ],
}
VARIANTS = [  # a row and the settings to choose between; unknown settings are skipped
    ("small", ["training.compile=none", "training.batch_shapes=padded"]),
    ("small", ["training.compile=none", "training.batch_shapes=packed"]),
    ("small", ["training.compile=graphs", "training.batch_shapes=packed"]),
    ("small", ["training.compile=graphs", "training.batch_shapes=bucketed"]),
    ("small", ["training.compile=layers", "training.batch_shapes=packed"]),
    ("gru-luong-fed", ["training.compile=none", "training.batch_shapes=padded"]),
    ("gru-luong-fed", ["training.compile=graphs", "training.batch_shapes=bucketed"]),
    ("base", ["training.compile=none", "training.batch_shapes=packed"]),
    ("base", ["training.compile=graphs", "training.batch_shapes=packed"]),
    ("base", ["training.compile=graphs", "training.batch_shapes=bucketed"]),
]
TINY = [
    "tokenizer.vocab_size=44",
    "tokenizer.byte_fallback=false",
    "training.batch_tokens=128",
    "training.max_updates=3",
    "training.validate_every=3",
    "logging.samples=0",
]
TINY_SIDES = {  # by the beginning of a row's name; all other rows are Transformers
    "gru": ["embedding_size=8", "hidden_size=8"],
    "": ["hidden_size=8", "num_heads=2", "num_layers=1", "feed_forward_size=8"],
}
SMALL_VOCABULARY = "tokenizer.vocab_size=3000"  # the phrasebook has no 8,000 pieces
SHORT_TESTS = "(transformer-pre or bahdanau-gru-1) and not layers"  # names of kinds of models
EXACT = 15  # pieces of each translation, if there is no trained model

Save = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Options:
    """The options of all parts.

    Attributes:
        out: Folder of runs and results.
        data: Folder of Multi30k; None: the phrasebook.
        device: The device of the models.
        short: Whether fewer updates and tests are enough.
        tiny: Whether models of a few units are enough, to test this script.
        started: When the process was started, in seconds since the epoch.
        seconds: The time limit of the process.
    """

    out: str
    data: str | None
    device: str
    short: bool
    tiny: bool
    started: float
    seconds: float

    def settings(self, row: str, settings: list[str]) -> list[str]:
        """Return the overrides of a row, with those of the options."""
        if self.data:
            corpus = [f"data.root={self.data}"]
        else:
            corpus = ["data=phrasebook", SMALL_VOCABULARY]
        tiny = []
        if self.tiny:
            sides = next(sizes for name, sizes in TINY_SIDES.items() if row.startswith(name))
            tiny = TINY + [f"model.{s}.{size}" for s in ("encoder", "decoder") for size in sides]
        given = {setting.partition("=")[0] for setting in tiny}
        kept = [s for s in [*settings, *corpus] if s.partition("=")[0] not in given]
        return [*kept, *tiny, f"training.device={self.device}"]

    def updates(self, usual: int) -> int:
        """Return the number of updates instead of the usual one."""
        return 2 if self.tiny else max(10, usual // 4) if self.short else usual


def machine(options: Options, save: Save) -> None:
    """Describe the machine, and prepare the corpus of the rows."""
    import torch

    from nmt import runtime
    from nmt.bench.bench_runs import describe_machine
    from nmt.run.preparation import prepare_corpus
    from nmt.sweeps.overrides import compose_config

    device = runtime.pick_device(options.device)
    precision = str(runtime.pick_precision("auto", device)).removeprefix("torch.")
    found = {**describe_machine(), "device": str(device), "precision": precision}
    if device.type == "cuda":
        found["capability"] = torch.cuda.get_device_capability(device)
        found["memory"] = torch.cuda.get_device_properties(device).total_memory
        found["driver"] = _driver()
    config = compose_config(options.settings("small", ROWS["small"]), {})
    pairs = len(prepare_corpus(config, _console(), lambda: False).train)
    _row(save, "training pairs", f"{pairs:,}", machine=found)


def _driver() -> str | None:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.splitlines()[0].strip() if answer.stdout.strip() else None


def tests(options: Options, save: Save) -> None:
    """Run the tests that need a GPU."""
    report = Path(options.out) / "tests.xml"
    selection = ["-m", "cuda", "tests/cuda", "-p", "no:cacheprovider", f"--junitxml={report}"]
    selection += ["-k", SHORT_TESTS if options.short else "not layers"]  # compiling takes a minute
    report.unlink(missing_ok=True)
    done = subprocess.run([sys.executable, "-m", "pytest", *selection], cwd=ROOT, check=False)
    if not report.exists():
        raise SystemExit(f"pytest ended with status {done.returncode} and no report")
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    failures, reasons = [], set()
    for case in ElementTree.parse(report).iter("testcase"):
        outcome = {child.tag: child for child in case}
        if "failure" in outcome or "error" in outcome:
            counts["failed"] += 1
            failures.append(f"{case.get('classname')}::{case.get('name')}")
        elif "skipped" in outcome:
            counts["skipped"] += 1
            reasons.add(outcome["skipped"].get("message") or "")
        else:
            counts["passed"] += 1
    text = ", ".join(f"{count} {name}" for name, count in counts.items())
    _row(save, "tests", text, counts=counts, failures=failures, skipped=sorted(reasons))
    if done.returncode or counts["failed"]:
        raise SystemExit(f"tests failed: {' '.join(failures) or done.returncode}")


def training(row: str, options: Options, save: Save) -> None:
    """Measure a row, and a plain loop with the same sizes and lengths."""
    import torch

    from nmt.bench.plain_loop import PlainWork, bench_plain
    from nmt.sweeps.overrides import compose_config

    overrides = options.settings(row, ROWS[row])
    config = compose_config(overrides, {})
    before = time.time() - options.started
    measured = _measure(overrides, options)
    speed = measured.speed
    result = {
        "tokens_per_second": speed.tokens_per_second,
        "mean_tokens_per_second": speed.mean_tokens_per_second,
        "ceiling_share": measured.ceiling_share,
        "first_update": measured.first_update,
        "first_update_from_start": before + measured.preparation + measured.first_update,
        "training": measured.to_mapping(),
    }
    cells = {
        "measured": f"{speed.tokens_per_second:,.0f} tokens/s",
        "share": f"{measured.ceiling_share:.1%}",
        "first": f"{result['first_update_from_start']:.1f} s",
    }
    _row(save, row, **cells, **result)
    if row.startswith("gru"):
        return
    device, precision = torch.device(measured.device), getattr(torch, measured.precision)
    if device.type == "cuda":
        torch.cuda.empty_cache()
    updates = speed.quiet_updates or speed.updates
    work = PlainWork.like(speed.counts, updates, _vocabulary(measured, config))
    plain = bench_plain(config.model, work, device, precision, updates=options.updates(40))
    share = plain.tokens_per_second * _flop(config, work) / measured.ceiling.flop_per_second
    ratio = speed.tokens_per_second / plain.tokens_per_second
    cells |= {
        "plain": f"{plain.tokens_per_second:,.0f}",
        "ratio": f"{ratio:.2f}",
        "share": f"{measured.ceiling_share:.1%}, {share:.1%}",
    }
    found = asdict(plain) | {"ceiling_share": share}
    _row(save, row, **cells, **result, plain_loop=found, ratio_to_plain=ratio)


def profiled(options: Options, save: Save) -> None:
    """Count kernels and launches per update, and the time between kernels."""
    rows = []
    for row in ("small", "base"):
        found = _measure(options.settings(row, ROWS[row]), options, usual=10, profiled=4).profile
        cell = f"{found.between:.1%} of the time between operations"
        if found.kernels is not None:
            cell += f", {found.kernels:,.0f} kernels, {found.launches:,.0f} launches per update"
        rows.append({"what": f"{row}, profiled", "measured": cell, "profile": asdict(found)})
        save({"rows": rows})


def _measure(overrides: list[str], options: Options, usual: int = 60, profiled: int = 0) -> Any:
    import torch

    from nmt.bench.training import Plan, bench_training
    from nmt.sweeps.overrides import compose_config

    gc.collect()  # an earlier model and its graphs
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    warmup = 1 if options.tiny else 20 if options.short else 40
    plan = Plan(options.updates(usual), warmup, 10, 0.0, validate=False, profiled=profiled)
    return bench_training(compose_config(overrides, {}), overrides, plan, _console())


def _vocabulary(measured: Any, config: Any) -> int:
    """Return the size of the vocabulary that the measured model really has."""
    from nmt.run.preparation import prepare_corpus

    return len(prepare_corpus(config, _console(), lambda: False).tokenizers.target)


def _flop(config: Any, work: Any) -> float:
    from nmt.bench.flop import training_flop

    counts = work.counts
    return training_flop(config.model, work.vocab_size, counts) / counts.target_tokens


def variants(options: Options, save: Save) -> None:
    """Measure the settings to choose between, until the time is over."""
    from nmt.errors import UserError

    rows, longest = [], 0.0
    for row, settings in VARIANTS:
        name = f"{row}: {' '.join(s.removeprefix('training.') for s in settings)}"
        began, left = time.time(), options.started + options.seconds - time.time()
        if left < longest:
            rows.append({"what": name, "measured": "skipped: no time left"})
            continue
        try:
            measured = _measure(options.settings(row, [*ROWS[row], *settings]), options, usual=40)
        except (UserError, RuntimeError) as error:
            rows.append({"what": name, "measured": f"skipped: {str(error).splitlines()[0]}"})
            continue
        finally:
            longest = max(longest, time.time() - began)
            save({"rows": rows})
        rows.append(
            {
                "what": name,
                "measured": f"{measured.speed.tokens_per_second:,.0f} tokens/s",
                "share": f"{measured.ceiling_share:.1%}",
                "first": f"{measured.first_update:.1f} s",
                "peak_memory": measured.peak_memory,
                "tokens_per_second": measured.speed.tokens_per_second,
            }
        )
        save({"rows": rows})
    save({"rows": rows})


def multi30k(options: Options, save: Save) -> None:
    """Train `experiment=multi30k_transformer`, from the command to its summary."""
    settings = options.settings("multi30k", ["experiment=multi30k_transformer"])
    _whole_run("multi30k", settings, options, save)


def demo(options: Options, save: Save) -> None:
    """Train the 600 updates of scripts/demo on the phrasebook."""
    if options.tiny and options.data:  # the phrasebook has more letters than a tiny vocabulary
        settings = options.settings("demo", ["data=multi30k"])
    else:
        settings = replace(options, data=None).settings("demo", [])
        settings = [s for s in settings if s != SMALL_VOCABULARY]  # scripts/demo sets nothing
    _whole_run("demo", settings, options, save)


def _whole_run(name: str, settings: list[str], options: Options, save: Save) -> None:
    folder = Path(options.out) / name
    command = [sys.executable, "-m", "nmt", "train", *settings, f"run.dir={folder}"]
    began = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"nmt train ended with status {done.returncode}")
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    split = "test" if "test" in summary else "valid"
    text = (
        f"{seconds:.0f} s, {summary['updates']:,} updates, {split} BLEU "
        f"{summary[split]['bleu']:.2f} ({summary[split]['signature']})"
    )
    _row(save, f"{name}, from command to summary", text, seconds=seconds, summary=summary)


def decode(options: Options, save: Save) -> None:
    """Measure search, greedy and with beams, and a validation."""
    from nmt.bench.decoding import bench_decoding
    from nmt.bench.measured_run import MeasuredRun
    from nmt.bench.training import seconds_of
    from nmt.checkpoint import find_checkpoint, load_checkpoint
    from nmt.sweeps.overrides import compose_config

    runs = [Path(options.out) / name for name in ("multi30k", "demo")]
    trained = next((run for run in runs if (run / "summary.json").exists()), None)
    settings = options.settings("small", ROWS["small"])
    config = compose_config(settings, {})
    if trained is not None:
        checkpoint = load_checkpoint(find_checkpoint(trained))
        training = replace(checkpoint.config.training, device=options.device)
        config = replace(checkpoint.config, training=training)
    bench = MeasuredRun(config, _console(), planned=1).bench
    if trained is not None:
        bench.trainer.model.load_state_dict(dict(checkpoint.weights))
    translator, text = bench.translator, bench.corpus.text
    split = text.test or text.valid
    sentences = split.source[: 4 if options.tiny else 200 if options.short else None]
    exact = None if trained else EXACT
    rows: list[dict[str, Any]] = []
    name = "random weights" if trained is None else trained.name
    for beam in (5, 1):
        decoding = replace(config.decoding, beam_size=beam)
        translator.decoding = decoding
        found = bench_decoding(name, translator, sentences, 1 if options.tiny else 3, exact)
        cell = f"{found.sentences_per_second:,.0f} sentences/s"
        what = f"search, {found.beam_size} beams, {found.sentences} sentences, {name}"
        rows.append({"what": what, "measured": cell, "decoding": found.to_mapping()})
        save({"rows": rows})
    if trained is None:
        return  # translations of random weights do not end
    device = bench.trainer.model.output.weight.device
    first, second = (seconds_of(bench.validate, device) for _ in range(2))
    count = len(text.valid)
    what = f"validation of {count:,} sentences, the first time and again"
    per_500 = second * 500 / count
    cell = f"{first:.2f} s, {second:.2f} s; {per_500:.2f} s per 500 sentences"
    rows.append({"what": what, "measured": cell, "seconds": [first, second], "per_500": per_500})
    save({"rows": rows})


def _row(save: Save, what: str, measured: str, **cells: Any) -> None:
    """Save one row of the table; further cells are kept in the JSON file."""
    save({"rows": [{"what": what, "measured": measured, **cells}]})


def _console() -> Any:
    from nmt.reporting.console import Console
    from nmt.reporting.progress_line import ProgressLine

    return Console(ProgressLine(sys.stderr))


def fail(options: Options, save: Save) -> None:
    """Fail, to test this script."""
    raise RuntimeError("this part always fails")


PARTS: dict[str, Callable[[Options, Save], None]] = {
    "machine": machine,
    "tests": tests,
    **{row: (lambda o, s, r=row: training(r, o, s)) for row in ROWS},  # type: ignore[misc]
    "multi30k": multi30k,
    "demo": demo,
    "decode": decode,
    "profile": profiled,
    "variants": variants,
    "fail": fail,
}


def main() -> None:
    part, options, file = sys.argv[1], Options(**json.loads(sys.argv[2])), Path(sys.argv[3])

    def save(result: dict[str, Any]) -> None:
        partial = file.with_suffix(".partial")
        partial.write_text(json.dumps(result, default=str), encoding="utf-8")
        partial.replace(file)

    PARTS[part](options, save)


if __name__ == "__main__":
    main()
