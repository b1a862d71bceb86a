"""The dependencies in pyproject.toml agree with the pins in constraints.txt."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DIRECT = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    result = {}
    for requirement in requirements:
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{requirement} does not pin one version"
        result[canonicalize_name(requirement.name)] = Version(specifier.version)
    assert len(result) == len(requirements), "a package is pinned twice"
    return result


@pytest.mark.parametrize("line", DIRECT)
def test_every_direct_dependency_is_pinned_within_its_range(line: str) -> None:
    requirement = Requirement(line)
    version = pins()[canonicalize_name(requirement.name)]
    assert requirement.specifier.contains(version), f"{version} is pinned, but {line} is required"


def test_no_pin_has_a_local_version() -> None:
    local = [name for name, version in pins().items() if version.local]
    assert not local, f"not available from the package index: {local}"


def test_the_version_is_declared_once() -> None:
    assert "version" in PROJECT["dynamic"]
    assert "version" not in PROJECT
    text = (ROOT / "nmt" / "__init__.py").read_text(encoding="utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    assert str(Version(version)) == version
