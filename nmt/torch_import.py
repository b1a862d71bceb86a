"""Prepares the import of torch: how its threads will wait, and which part of it is left out.

At the end of its import, torch imports Python functions that compute the shapes of results on the
device "meta". torch.compile and torch.export need them; a search does not. A command that only
translates replaces their module by an empty one, which loads them when a name is first used.
"""

import os
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

SPINS = "10000"
"""How often a waiting thread of GNU OpenMP reads a variable before it sleeps; its default is
300,000. If another process uses a core, a thread that spins takes the time of the thread for which
it waits."""

DEFERRED = "torch._meta_registrations"
"""The deferred module. Modules of torch import names from each other, so their order matters."""


class _Deferred(ModuleType):
    """A module that is loaded when a name that it does not have is first used."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for such names
            raise AttributeError(name)
        self.__class__ = ModuleType  # type: ignore[assignment]
        assert self.__spec__ is not None
        loader = self.__spec__.loader
        assert isinstance(loader, _Later)
        loader.actual.exec_module(self)
        return getattr(self, name)


class _Later(Loader):
    """Creates a module without content; the first use of a name loads the content."""

    def __init__(self, actual: Loader) -> None:
        self.actual = actual

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Deferred(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _Finder(MetaPathFinder):
    """Finds the deferred module once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != DEFERRED:
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Later(spec.loader)
        return spec


def let_waiting_threads_sleep() -> None:
    """Limit how long waiting threads of PyTorch spin, unless the environment sets it.

    GNU OpenMP, which PyTorch uses on Linux, reads the variable when torch is imported. So this has
    no effect afterwards. Processes that this one starts inherit the variable.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


def defer_shape_functions() -> None:
    """Shorten the first import of torch in this process; after the import this has no effect."""
    if "torch" not in sys.modules and not any(isinstance(one, _Finder) for one in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
