"""A typed `torch.nn.ModuleList`."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar, cast

from torch import nn

M = TypeVar("M", bound=nn.Module)


class Modules(nn.ModuleList, Generic[M]):
    """A ``ModuleList`` whose members have one type."""

    def __iter__(self) -> Iterator[M]:
        """Iterate over the members."""
        return cast("Iterator[M]", super().__iter__())

    def __getitem__(self, index: Any) -> Any:
        """Return a member, or the list of members in a slice."""
        return super().__getitem__(index)
