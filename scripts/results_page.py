"""Writes docs/results.md and a part of README.md from the records of measured runs."""

import re
import statistics
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

import nmt
from nmt.config.folders import config_directory
from nmt.errors import UserError
from nmt.run.comparison.run_comparison import spread

Record = Mapping[str, Any]
Run = Mapping[str, Any]

BEGIN, END = "<!-- scripts/results writes this part -->", "<!-- end of that part -->"
ABSENT = "-"


def write_pages(root: Path, records: Sequence[Record], *, check: bool) -> list[str]:
    """Write docs/results.md and the marked part of README.md.

    Args:
        root: The folder of README.md and docs/.
        records: The records.
        check: Return the pages that are not current instead of writing them.

    Raises:
        UserError: README.md does not exist, or lacks the marks.
    """
    readme, page = root / "README.md", root / "docs" / "results.md"
    made = {page: results_page(records), readme: _with_part(readme, readme_part(records))}
    stale = [path for path, text in made.items() if not path.exists() or _read(path) != text]
    if check:
        return [str(path.relative_to(root)) for path in stale]
    for path in stale:
        path.write_text(made[path], encoding="utf-8")
    return []


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _with_part(readme: Path, part: str) -> str:
    if not readme.is_file():
        raise UserError(f"there is no {readme}; --root names the folder of README.md and docs/")
    before, begin, rest = _read(readme).partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise UserError(f"{readme} lacks the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{part}\n{END}{after}"


def results_page(records: Sequence[Record]) -> str:
    """Return docs/results.md."""
    rows, speeds = _of_runs(records), [r for r in records if r.get("kind") == "speed"]
    names = dict.fromkeys(row["section"] for row in rows)
    template = Path(__file__).with_name("results.md.jinja").read_text(encoding="utf-8")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    text = environment.from_string(template).render(
        version=nmt.__version__,
        beams=" or ".join(map(str, sorted({b for r in rows if (b := _known(r, "beam_size"))}))),
        resamples="1,000",
        sections=[_section(name, [r for r in rows if r["section"] == name]) for name in names],
        runs=_run_table(rows),
        conditions=list(_conditions(rows)),
        alignment=_alignment_table(rows),
        experiments=_experiment_table(rows, speeds),
        speeds=[_speed(one) for one in speeds],
    )
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def _of_runs(records: Sequence[Record]) -> list[Record]:
    """Return the records of runs, in the order of the page."""
    found = [record for record in records if record.get("kind") != "speed"]
    return sorted(found, key=lambda r: (r["section"], -(_mean(r) or 0)))


def _known(record: Record, key: str) -> Any:
    return next((run[key] for run in record["runs"] if run.get(key) is not None), None)


def score(run: Run, metric: str, part: str = "value") -> float | None:
    """Return a test score of a run, or half its interval; None: it is not known."""
    found = ((run.get("test") or {}).get(metric) or {}).get(part)
    return None if found is None else float(found)


def _mean(record: Record, metric: str = "bleu") -> float | None:
    return _average([score(run, metric) for run in record["runs"]])


def _average(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known and len(known) == len(values) else None


def _deviation(record: Record, metric: str = "bleu") -> float | None:
    found = spread([score(run, metric) for run in record["runs"]])
    return None if found is None else found["deviation"]


def _shown(value: float | None, form: str = "{:.2f}") -> str:
    return ABSENT if value is None else form.format(value)


def _score_form(record: Record) -> str:
    """Return the format of scores; those of a carried-over record may have fewer digits."""
    return f"{{:.{min(run.get('digits', 2) for run in record['runs'])}f}}"


def _one_digit(value: float | None) -> str:
    return _shown(value, "{:.1f}")


def _duration(minutes: float | None) -> str:
    return _shown(minutes, "{:.1f}" if minutes is not None and minutes < 10 else "{:.0f}")


def _markdown(head: Sequence[str], cells: Sequence[Sequence[str]], left: int) -> str:
    """Return a table; the first ``left`` columns are left-aligned, the others right."""
    rules = ["---" if column < left else "--:" for column in range(len(head))]
    escaped = [[re.sub(r"(?<!\\)\|", r"\|", cell) for cell in row] for row in cells]
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, rules, *escaped])


# ------------------------------------------------------------------------------ sections


def _section(name: str, rows: Sequence[Record]) -> dict[str, Any]:
    columns: dict[str, Callable[[Record], str]] = {
        "seeds": lambda r: str(len(r["runs"])),
        "BLEU": lambda r: _shown(_mean(r), _score_form(r)),
        "± seeds": lambda r: _shown(_deviation(r)),
        "± text": lambda r: _shown(_average([score(run, "bleu", "interval") for run in r["runs"]])),
        "chrF": lambda r: _shown(_mean(r, "chrf"), _score_form(r)),
        "TER": lambda r: _shown(_mean(r, "ter")),
        "older papers": lambda r: _shown(_mean(r, "tokenized_lowercase")),
        "minutes": lambda r: _duration(_minutes(r)),
    }
    cells = [
        [r["title"], f"`{r['command']}`", *(show(r) for show in columns.values())] for r in rows
    ]
    used = [n for n in range(len(columns) + 2) if any(row[n] != ABSENT for row in cells)]
    head = ["model", "command", *columns]
    table = _markdown([head[n] for n in used], [[row[n] for n in used] for row in cells], 2)
    return {"name": name, "table": table, "notes": [*_signatures(rows), *_section_notes(rows)]}


def _minutes(record: Record) -> float | None:
    return _average([_run_minutes(run) for run in record["runs"]])


def _run_minutes(run: Run) -> float | None:
    return run["seconds"] / 60 if run.get("seconds") else None


_METRICS = {
    "bleu": "BLEU",
    "chrf": "chrF",
    "ter": "TER",
    "tokenized_lowercase": "older papers: BLEU of tokenized, lower-cased text,",
}


def _signatures(rows: Sequence[Record]) -> Iterator[str]:
    """Yield the signatures of a table; rows with the same signature share one line."""
    for metric, label in _METRICS.items():
        found: dict[str, list[str]] = {}
        for row in rows:
            for run in row["runs"]:
                signature = ((run.get("test") or {}).get(metric) or {}).get("signature")
                if signature:
                    names = found.setdefault(_without_bootstrap(signature), [])
                    names += [row["title"]] if row["title"] not in names else []
        for signature, names in found.items():
            whose = f" of {', '.join(names)}" if len(found) > 1 else ""
            yield f"{label}{whose} `{signature}`"


def _without_bootstrap(signature: str) -> str:
    """Return the signature of the score itself; the mean and its interval add two parts."""
    return re.sub(r"\|bs:\d+\|seed:\w+", "", signature)


def _section_notes(rows: Sequence[Record]) -> Iterator[str]:
    carried: dict[str, list[str]] = {}
    for row in rows:
        for source in dict.fromkeys(run.get("carried_over") for run in row["runs"]):
            if source:
                carried.setdefault(source, []).append(row["title"])
    for source, titles in carried.items():
        yield f"{source}: {'; '.join(titles)}"
    for row in rows:
        for run in row["earlier"]:
            yield f"{row['title']}, earlier: {_one_line(run)}"
    noted: dict[str, list[str]] = {}
    for row in rows:
        for note in row["notes"]:
            noted.setdefault(note, []).append(row["title"])
    for note, titles in noted.items():
        yield f"{'; '.join(titles)}: {note}"


def _one_line(run: Run) -> str:
    """Return the figures of a run that another run replaced."""
    parts = [
        f"{_METRICS[metric]} {value:.{run.get('digits', 2)}f}"
        for metric in ("bleu", "chrf")
        if (value := score(run, metric)) is not None
    ]
    if run.get("seconds"):
        parts.append(f"{_duration(run['seconds'] / 60)} minutes")
    parts += [part for part in (_version(run), run.get("date"), run.get("note")) if part]
    return ", ".join([*parts, *([run["carried_over"]] if "carried_over" in run else [])])


def _version(run: Run) -> str:
    version, commit = run.get("version"), run.get("commit")
    return " ".join(part for part in (version, f"`{commit}`" if commit else None) if part)


# ------------------------------------------------------------------------------ other tables


def _run_table(rows: Sequence[Record]) -> str:
    head = ["model", "seed", "nmt", "date", "machine", *("valid BLEU", "test BLEU", "updates")]
    head += ["minutes", "tokens/s"]
    machines = _machines(rows)
    cells = [
        [
            f"{row['section']}: {row['title']}",
            str(run["seed"]),
            _version(run) or ABSENT,
            run.get("date", ABSENT),
            machines.get(_machine(run), ABSENT),
            _shown(((run.get("valid") or {}).get("bleu") or {}).get("value")),
            _shown(score(run, "bleu"), _score_form({"runs": [run]})),
            _shown(run.get("updates"), "{:,}"),
            _duration(_run_minutes(run)),
            _shown(run.get("tokens_per_second"), "{:,.0f}"),
        ]
        for row in rows
        for run in row["runs"]
    ]
    return _markdown(head, cells, 5)


def _machine(run: Run) -> str:
    gpu = run["device"] if not str(run.get("device", "cpu")).startswith("cpu") else None
    threads = f"{count} thread{'s' * (count > 1)}" if (count := run.get("threads")) else None
    software = [f"torch {run['torch']}"] if "torch" in run else []
    software += [f"products in {run['precision']}"] if "precision" in run else []
    parts = [gpu, run.get("processor"), threads, run.get("hardware"), *software]
    return ", ".join(part for part in parts if part)


def _machines(rows: Sequence[Record]) -> dict[str, str]:
    """Return a letter for each machine that trained a run."""
    found = dict.fromkeys(_machine(run) for row in rows for run in row["runs"])
    return {text: chr(ord("A") + n) for n, text in enumerate(text for text in found if text)}


def _conditions(rows: Sequence[Record]) -> Iterator[str]:
    for text, letter in _machines(rows).items():
        yield f"machine {letter}: {text}"
    yield "tokens/s: target pieces per second of training, without validations"


def _alignment_table(rows: Sequence[Record]) -> str:
    cells = [
        [
            f"{row['section']}: {row['title']}",
            f"`{row['command']}`",
            str(len(row["runs"])),
            f"{aer:.1f} %",
        ]
        for row in rows
        if (aer := _average([run.get("aer") for run in row["runs"]])) is not None
    ]
    return _markdown(["model", "command", "seeds", "AER"], cells, 2)


def _experiment_table(rows: Sequence[Record], speeds: Sequence[Record]) -> str:
    cells = []
    for path in sorted((config_directory() / "experiment").glob("[!_]*.yaml")):
        used = [row for row in rows if path.stem in row["experiments"]]
        figures = [f"{row['title']}: {_shown(_mean(row), '{:.1f}')}" for row in used]
        figures += [one["title"] for one in speeds if path.stem in one["experiments"]]
        cells.append([f"`{path.stem}`", _purpose(path), "; ".join(figures) or ABSENT])
    return _markdown(["experiment", "what", "figures"], cells, 3)


def _purpose(path: Path) -> str:
    """Return the first sentence of the comment on top of a file."""
    comment = []
    for line in _read(path).splitlines():
        if not line.startswith("#"):
            break
        if not line.startswith("# @"):
            comment.append(line.removeprefix("#"))
    text = " ".join(" ".join(comment).split())
    return re.split(r"(?<!\bal)\. |[.:] +nmt ", text)[0].rstrip(".:")


def _speed(record: Record) -> dict[str, Any]:
    cells = [
        [
            row["name"],
            f"{row['tokens_per_second']:,}",
            f"{row['memory_gib']:.2f} GiB",
            _times(row["ratio"]),
        ]
        for row in record["rows"]
    ]
    table = _markdown(["", "target tokens/s", "peak memory", "nmt is"], cells, 1)
    return {**record, "table": table, "notes": [record["carried_over"], *record["notes"]]}


def _times(ratio: float) -> str:
    return "1" if ratio == 1 else f"{ratio:g} ×"


# ------------------------------------------------------------------------------ README


def readme_part(records: Sequence[Record]) -> str:
    """Return the part of README.md: the main rows, and what they were measured with."""
    rows = [row for row in _of_runs(records) if row.get("readme")]
    head = ["what", "command", "seeds", "test BLEU", "chrF", "minutes"]
    cells = [
        [
            f"{row['section']}: {row['title']}",
            f"`{row['command']}`",
            str(len(row["runs"])),
            _range(row, lambda run: score(run, "bleu"), _one_digit, "bleu"),
            _range(row, lambda run: score(run, "chrf"), _one_digit, "chrf"),
            _range(row, _run_minutes, _duration, ""),
        ]
        for row in rows
    ]
    runs = [run for row in rows for run in row["runs"]]
    versions = sorted({run["version"] for run in runs if run.get("version")})
    dates = sorted(run["date"] for run in runs if run.get("date"))
    until = f", of runs up to {dates[-1]}" if dates else ""
    table = _markdown(head, cells, 2)
    parts = [
        f"The figures are of nmt {' and '.join(versions)}{until}.",
        *(["`±` is the standard deviation over seeds."] if "±" in table else []),
        "A range covers the seeds of this version, earlier versions and other processors.",
        *(f"{line}." for line in _signatures(rows) if line.startswith(("BLEU", "chrF"))),
        *(_speed_sentence(one) for one in records if one.get("kind") == "speed"),
    ]
    wrap = textwrap.TextWrapper(105, break_long_words=False, break_on_hyphens=False)
    return "\n".join([table, "", wrap.fill(" ".join(parts))])


def _speed_sentence(record: Record) -> str:
    first, other = record["rows"][0], record["rows"][record["readme_row"]]
    return (
        f"On {record['machine']}, `nmt` trains a Transformer at {first['tokens_per_second']:,} "
        f"target tokens per second, {_times(other['ratio'])} the speed of {other['name']}."
    )


def _range(
    row: Record, of: Callable[[Run], float | None], show: Callable[[float | None], str], metric: str
) -> str:
    """Return the mean over seeds, or the range over versions where earlier runs are known."""
    now = [value for run in row["runs"] if (value := of(run)) is not None]
    before = [value for run in row["earlier"] if (value := of(run)) is not None]
    if now and before:
        low, high = (show(bound([*now, *before])) for bound in (min, max))
        return low if low == high else f"{low} to {high}"
    deviation = _deviation(row, metric)
    text = show(_average(now))
    return text if deviation is None else f"{text} ± {show(deviation)}"
