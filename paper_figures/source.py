"""Where figures and the report get their rows from."""

from experiments.factors import UsageError
from experiments.store import Store
from experiments.studies.common import Columns
from experiments.studies.registry import STUDIES
from experiments.synthesis.judge import Synthesis, synthesise
from experiments.tables import Selection, load
from experiments.verdicts import to_columns


class MissingRows(UsageError):  # noqa: N818  a UsageError is named by what is wrong
    """The store lacks the rows that a figure or the report needs; the message names the study and the store."""


class Source:
    """The rows of all studies in one store and preset, each read once.

    Args:
        store: where from; by default `$CAPSIM_STORE` if it holds the study, else the committed results.
        preset: as for `experiments.tables.load`.
    """

    def __init__(self, store: Store | None = None, preset: str | None = None) -> None:
        self._store, self._preset = store, preset
        self._selections: dict[str, Selection] = {}
        self._columns: dict[str, Columns] = {}
        self._synthesis: Synthesis | None = None

    def selection(self, study: str) -> Selection:
        """The rows of a study, perhaps none, and where they come from.

        Raises:
            UsageError: no such preset.
        """
        if study not in self._selections:
            self._selections[study] = load(STUDIES[study], self._store, self._preset)
        return self._selections[study]

    def columns(self, study: str) -> Columns:
        """The rows of a study as NumPy columns.

        Raises:
            MissingRows: there are none.
        """
        if study not in self._columns:
            selection = self.selection(study)
            if selection.table.num_rows == 0:
                raise MissingRows(
                    f"study must have rows: {selection.name} has none of {study}, preset {selection.preset}; "
                    f"`capsim run {study}` makes them"
                )
            self._columns[study] = to_columns(selection.table)
        return self._columns[study]

    def synthesis(self) -> Synthesis:
        """What the rows of all studies that have some say together; computed once."""
        if self._synthesis is None:
            tables = {name: self.selection(name).table for name in STUDIES}
            self._synthesis = synthesise({name: table for name, table in tables.items() if table.num_rows})
        return self._synthesis
