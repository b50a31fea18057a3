"""What the commands share: their options, and how a word of the command line becomes a study, a store or a table."""

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

from tyro.conf import UseAppendAction, arg

from experiments.console import warn
from experiments.factors import UsageError

if TYPE_CHECKING:
    from experiments.own_data import OwnRows
    from experiments.spec import Study
    from experiments.store import Store
    from experiments.tables import Selection

StudyName: TypeAlias = Annotated[str, arg(metavar="STUDY", help="a name from `capsim list studies`")]
FitStudy: TypeAlias = Annotated[
    str | None,
    arg(metavar="STUDY", help_behavior_hint="", help="a name from `capsim list studies`; none with --data"),
]
DataFile: TypeAlias = Annotated[
    str | None,
    arg(metavar="FILE.csv", help_behavior_hint="", help="a table of your own, with a header, instead of a study"),
]
DataColumns: TypeAlias = Annotated[
    str | None,
    arg(
        metavar="inputs=C,outputs=C,accuracy=C",
        help_behavior_hint="",
        help="which columns of --data hold what: inputs, outputs, and accuracy [with sd and repeats] or correct and "
        "total; if you like, seed and chance (by default 1/outputs)",
    ),
]
DataGroup: TypeAlias = Annotated[
    str | None, arg(metavar="COLUMN", help_behavior_hint="", help="column of --data whose values are fitted apart")
]
ReadStore: TypeAlias = Annotated[
    str | None,
    arg(
        metavar="DIR",
        help_behavior_hint="",
        help="folder of results to read; by default $CAPSIM_STORE if it holds the study, else results/",
    ),
]
WriteStore: TypeAlias = Annotated[
    str | None,
    arg(
        help_behavior_hint="", metavar="DIR", help="folder of results to add to; by default $CAPSIM_STORE, else ./store"
    ),
]
ReadPreset: TypeAlias = Annotated[
    str | None,
    arg(
        metavar="PRESET",
        help_behavior_hint="",
        help="smoke, laptop, paper, or all rows whatever their preset; by default that of the store's last full run, "
        "else laptop in results/ and smoke elsewhere",
    ),
]
Sets: TypeAlias = Annotated[
    UseAppendAction[tuple[str, ...]],
    arg(name="set", metavar="FACTOR=V1,V2", help="other values for a factor; see `capsim list factors STUDY`"),
]
Seeds: TypeAlias = Annotated[
    int | None, arg(help_behavior_hint="", metavar="N", help="number of seeds; by default the preset's")
]
EngineName: TypeAlias = Annotated[
    str, arg(metavar="local|dask", help="where to train: in this process, or in Dask's workers")
]
Scheduler: TypeAlias = Annotated[
    str | None,
    arg(
        metavar="ADDRESS",
        help_behavior_hint="",
        help="a running Dask scheduler, tcp://host:8786; by default workers are started on this machine",
    ),
]
Workers: TypeAlias = Annotated[
    int | None,
    arg(metavar="N", help_behavior_hint="", help="Dask workers to start here; by default one a GPU, or one a core"),
]
Json: TypeAlias = Annotated[bool, arg(help="print one JSON object")]
REGISTRIES = {
    "studies": ("experiments.studies.registry", "STUDIES"),
    "generators": ("experiments.tasks", "ALL_GENERATORS"),
    "networks": ("sim.networks.registry", "NETWORKS"),
    "laws": ("sim.theory.laws", "LAWS"),
    "segmenters": ("sim.segmentation.registry", "SEGMENTERS"),
    "figures": ("paper_figures.registry", "FIGURES"),
}


def registry(kind: str) -> Mapping[str, Any]:
    """The table of one kind of part, by name."""
    module, table = REGISTRIES[kind]
    return getattr(importlib.import_module(module), table)


def find_study(name: str) -> "Study":
    """The study of that name; UsageError lists those that exist."""
    studies = registry("studies")
    if name not in studies:
        raise UsageError(f"study must be one of {', '.join(studies)}, got {name!r}")
    return studies[name]


def parse_sets(sets: Sequence[str]) -> dict[str, list[str]]:
    """`["outputs=4,16"]` -> `{"outputs": ["4", "16"]}`."""
    overrides: dict[str, list[str]] = {}
    for text in sets:
        name, equals, values = text.partition("=")
        if not (name and equals and values):
            raise UsageError(f"--set must be factor=value or factor=value,value, got {text!r}")
        if name in overrides:
            raise UsageError(f"--set must name a factor once, with all its values, got {name!r} twice")
        overrides[name] = values.split(",")
    return overrides


def open_store(store: str | None) -> "Store | None":
    """The named store, or None for the default."""
    from experiments.store import Store

    return Store(store) if store is not None else None


def load_rows(
    study: str,
    store: str | None,
    preset: str | None,
    sets: Sequence[str] = (),
    seeds: int | None = None,
    columns: Sequence[str] | None = None,
) -> "Selection":
    """A study's rows, with a line on standard error for each file that could not be read."""
    from experiments.tables import load

    selection = load(find_study(study), open_store(store), preset, parse_sets(sets), seeds, columns)
    for problem in selection.problems:
        warn(problem)
    return selection


def need_rows(selection: "Selection", study: str) -> "Selection":
    """The selection, unless it is empty: UsageError then says how to fill it."""
    if selection.table.num_rows == 0:
        raise UsageError(
            f"study must have rows: {selection.name} has none of {study}, preset {selection.preset}; "
            f"`capsim run {study}` makes them"
        )
    return selection


def load_own(
    data: str | None, columns: str | None, group: str | None, study: str | None, **others: Any
) -> "list[OwnRows] | None":
    """The groups of a user's own table, or None where a study is read.

    Args:
        others: options that only go with a study, by name.

    Raises:
        UsageError: both or neither of study and data, an option of the other one, or a fault of the table.
    """
    if (data is None) == (study is None):
        raise UsageError(f"a study or --data must be given, got {'neither' if data is None else 'both'}")
    if data is None:
        for name, value in (("columns", columns), ("group", group)):
            if value is not None:
                raise UsageError(f"--{name} must go with --data, got {value!r} without it")
        return None
    for name, value in others.items():
        if value not in (None, ()):
            raise UsageError(f"--{name} must go with a study, got it with --data")
    if columns is None:
        raise UsageError("--data must go with --columns inputs=..,outputs=..,accuracy=.., got none")
    from experiments.own_data import parse_mapping, read_own

    return read_own(data, parse_mapping(columns), group)


def start_jax() -> None:
    """Give JAX its devices and its cache, before anything uses it."""
    from experiments.cache import configure_devices, enable_compilation_cache

    configure_devices()
    enable_compilation_cache()


def writable_folder(out: str) -> Path:
    """The folder of that name, made if need be; UsageError if it cannot be."""
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"out must be a folder that can be written, got {out} ({error.strerror})") from None
    return folder
