"""Options of `nmt translate` for the engine, its devices and its threads."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nmt.cli.options.common_options import Threads
from nmt.cli.options.constraint_options import ConstraintOptions
from nmt.cli.options.document_flags import DocumentFlags
from nmt.cli.options.translate_options import SearchOptions, TextOptions
from nmt.config.ensemble_mean import Mean
from nmt.errors import UserError

if TYPE_CHECKING:
    from nmt.decoding.engine import Loaded


class EngineName(StrEnum):
    """The program that searches and computes."""

    NMT = "nmt"
    CTRANSLATE2 = "ctranslate2"


@dataclass(frozen=True)
class EngineOptions:
    """The options as given."""

    engine: Annotated[
        EngineName,
        typer.Option(
            help=(
                "nmt, or ctranslate2: the first use exports the run for this library. With "
                "ctranslate2, --model may also be a folder of nmt export, and --precision may be "
                "int8."
            )
        ),
    ] = EngineName.NMT
    devices: Annotated[
        str | None,
        typer.Option(
            metavar="<device>,...",
            help=(
                "Several devices, e.g. cuda:0,cuda:1 or cpu,cpu: a process on each device "
                "translates a part of the lines. [one process on --device]"
            ),
        ),
    ] = None
    threads: Threads = None

    def names(self, device: str) -> list[str]:
        """Return the name of each device.

        Raises:
            UserError: The list has an empty name, or both options are given.
        """
        if self.devices is None:
            return [device]
        if device != "auto":
            raise UserError("give either --device or --devices, not both")
        names = [name.strip() for name in self.devices.split(",")]
        if not all(names):
            raise UserError(f"--devices {self.devices} has an empty name; write cuda:0,cuda:1")
        return names

    def check(
        self,
        models: Sequence[Path],
        text: TextOptions,
        search: SearchOptions,
        asked: ConstraintOptions,
        document: DocumentFlags,
        shortlist: Path | None,
    ) -> None:
        """Refuse options that the engine does not support.

        Raises:
            UserError: Such an option is given.
        """
        if text.attention is not None and self.devices is not None:
            raise UserError("--attention draws one sentence: leave out --devices")
        if text.features is not None and self.devices is not None:
            raise UserError("--features is read by one process: leave out --devices")
        if self.engine != EngineName.CTRANSLATE2:
            return
        refused = {
            "several --model": len(models) > 1,
            "--attention": text.attention is not None,
            "--features": text.features is not None,
            "--with-attention": document.with_attention,
            "--sample": search.sample,
            "--mbr": search.mbr is not None,
            "--require": bool(asked.require),
            "--forbid": bool(asked.forbid),
            "--constraints": asked.constraints is not None,
            "--shortlist": shortlist is not None,
        }
        for option, given in refused.items():
            if given:
                raise UserError(
                    f"--engine ctranslate2 does not support {option}: leave out one of the two"
                )


@dataclass(frozen=True)
class EngineRequest:
    """The values that a process needs to load an engine; they can be pickled.

    Attributes:
        models: Run folders or checkpoint files; one folder of an export for CTranslate2.
        engine: The program that searches and computes.
        mean: How the distributions of several models are averaged.
        device: One device.
        threads: CPU threads; None keeps the library's default.
        beam_size, length_penalty, batch_size, precision, changes, shortlist: See `LoadOptions`.
    """

    models: Sequence[Path]
    engine: EngineName
    mean: Mean
    device: str
    threads: int | None
    beam_size: int | None
    length_penalty: float | None
    batch_size: int | None
    precision: str
    changes: Mapping[str, object]
    shortlist: Path | None = None

    def load(self) -> "Loaded":
        """Load the engine in this process.

        Raises:
            UserError: There is no such model, or a setting is out of range.
        """
        from nmt import runtime

        runtime.set_threads(self.threads)
        settings = {
            **self.changes,
            "beam_size": self.beam_size,
            "length_penalty": self.length_penalty,
            "batch_size": self.batch_size,
        }
        if self.engine == EngineName.CTRANSLATE2:
            from nmt.export.ctranslate2_engine import load_ctranslate2

            config, engine = load_ctranslate2(
                self.models[0],
                device=self.device,
                precision=self.precision,
                threads=self.threads,
                changes=settings,
            )
            return [config], engine
        from nmt.decoding.ensemble import load_models

        runtime.keep_freed_memory()
        checkpoints, translator = load_models(
            self.models,
            mean=self.mean,
            device=self.device,
            beam_size=self.beam_size,
            length_penalty=self.length_penalty,
            batch_size=self.batch_size,
            precision=self.precision,
            changes=self.changes,
            shortlist=self.shortlist,
        )
        return [checkpoint.config for checkpoint in checkpoints], translator

    def load_on(self, devices: Sequence[str], opened: ExitStack) -> "Loaded":
        """Load the engine on one device, or start a process on each of several.

        Args:
            devices: The names of the devices, at least one.
            opened: A stack that ends the processes when it is closed.

        Raises:
            UserError: See `load`.
        """
        if len(devices) == 1:
            return replace(self, device=devices[0]).load()
        from nmt import runtime
        from nmt.decoding.parallel_engine import parallel_engine

        runtime.set_threads(self.threads)
        if self.engine == EngineName.CTRANSLATE2:
            from nmt.export.ctranslate2_engine import export_folder

            export_folder(self.models[0])  # once, and not in each process
        threads = max(1, runtime.threads() // len(devices))
        loads = [replace(self, device=name, threads=threads).load for name in devices]
        engine = opened.enter_context(parallel_engine(loads, devices))
        return engine.configs, engine
