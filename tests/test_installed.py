"""The built wheel, installed in its own environment and used outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pytest

import nmt

ROOT = Path(__file__).resolve().parents[1]
SPLITS, SUFFIXES = ("train", "valid", "test"), ("en", "de", "align")
CORPUS = {f"nmt/corpora/phrasebook/{split}.{suffix}" for split in SPLITS for suffix in SUFFIXES}
DOCUMENTS = {f"{split}.{language}" for split in SPLITS for language in SUFFIXES[:2]} | {
    "README.md",
    *(f"contrastive.{name}" for name in ("en", "right.de", "wrong-1.de", "wrong-2.de")),
}

pytest.importorskip("hatchling", reason="the wheel is built with the dev extra's hatchling")


@dataclass(frozen=True)
class Installation:
    """An environment with the wheel installed, and a working folder outside the checkout."""

    environment: Path
    folder: Path

    def run(self, program: str, *arguments: str, text: str = "") -> str:
        """Run a program in the working folder, which must succeed, and return its output."""
        variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        variables.pop("VIRTUAL_ENV", None)
        variables["HF_HUB_OFFLINE"] = "1"
        variables["PYTHONUTF8"] = "1"
        result = subprocess.run(
            [self.environment / "bin" / program, *arguments],
            cwd=self.folder,
            env=variables,
            input=text,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=900,
        )
        assert result.returncode == 0, f"{arguments}\n{result.stdout}\n{result.stderr}"
        return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installation:
    environment = tmp_path_factory.mktemp("installed").resolve() / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    _pip("--python", str(environment), "install", "--no-deps", str(wheel))
    # The dependencies are those of the test's own environment. Folders listed in a .pth file come
    # after the environment's packages on sys.path, and the .pth files in them, e.g. of an editable
    # install of nmt, are not read.
    names = {"base": str(environment), "platbase": str(environment)}
    packages = Path(sysconfig.get_path("purelib", "venv", vars=names))
    folders = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "dependencies.pth").write_text("\n".join(folders) + "\n", encoding="utf-8")
    return Installation(environment, tmp_path_factory.mktemp("elsewhere"))


def test_the_wheel_contains_the_configs_and_the_corpus_only(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert {name.split("/")[0] for name in names} == {"nmt"}
    configs = {
        f"nmt/configs/{path.relative_to(ROOT / 'configs').as_posix()}"
        for path in (ROOT / "configs").rglob("*.yaml")
    }
    assert configs
    assert {name for name in names if name.startswith("nmt/configs/")} == configs
    assert {f"nmt/reporting/pages/attention_page.{part}" for part in ("html", "css", "js")} <= names
    corpora = {name for name in names if name.startswith("nmt/corpora/")}
    documents = {f"nmt/corpora/phrasebook_documents/{name}" for name in DOCUMENTS}
    assert corpora == CORPUS | documents | {"nmt/corpora/phrasebook/README.md"}


def test_the_command_prints_the_version(installed: Installation) -> None:
    assert nmt.__version__ in installed.run("nmt", "--version")


def test_everything_comes_from_the_installed_package(installed: Installation) -> None:
    program = """
import nmt
from nmt.config.folders import config_directory, corpora_directory
print(nmt.__file__, config_directory(), corpora_directory(), sep="\\n")
"""
    paths = installed.run("python", "-c", program).splitlines()
    assert len(paths) == 3
    for path in map(Path, paths):
        assert path.is_relative_to(installed.environment), f"{path} is outside the environment"
        assert path.exists()


def test_the_settings_compose(installed: Installation) -> None:
    printed = installed.run("nmt", "train", "--cfg", "job")
    assert "phrasebook" in printed
    assert "max_updates" in printed
    assert not list(installed.folder.glob("runs*")), "showing the settings created a run folder"


@pytest.mark.slow
def test_trains_and_translates(installed: Installation) -> None:
    installed.run(
        "nmt",
        "train",
        "training.max_updates=2",
        "training.validate_every=2",
        "training.save_every=2",
        "run.dir=run",
    )
    assert (installed.folder / "run" / "summary.json").is_file()
    sentences = "Good morning.\nWhere is the bus stop?\n"
    translated = installed.run("nmt", "translate", "--model", "run", text=sentences)
    assert translated.count("\n") == 2


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    result = subprocess.run(
        [*command, "--no-index", "--quiet"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stdout + result.stderr
