"""A counterexample to go through with keys in a terminal: steps on the left, the state at the chosen one beside them.

It needs textual, an extra; only `pte-stress replay --step` imports this file.
"""

from __future__ import annotations

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import DataTable, Footer, Header, Static

from stress.explore.counterexample import words
from stress.explore.counterexample.history import History, Move
from stress.explore.counterexample.slicing import conflicts, deciding


class Stepper(App[None]):
    """Steps as rows, a column for each CPU; the arrow keys, j and k choose a step, its accesses and state are shown."""

    CSS = """
    #steps { width: 3fr; }
    #side { width: 2fr; padding: 0 1; border-left: solid $primary; }
    """
    BINDINGS = [  # noqa: RUF012 - as textual has it
        Binding("j", "go(1)", "forward"),
        Binding("k", "go(-1)", "back"),
        Binding("home", "first", "first", show=False, priority=True),
        Binding("end", "last", "last", show=False, priority=True),
        Binding("f", "fold", "only steps that decide"),
        Binding("q", "quit", "end"),
    ]

    def __init__(self, found: History) -> None:
        """Show this counterexample."""
        super().__init__()
        self.found = found
        self.title = f"{found.violation.check} breaks in {found.model.design.name}"
        self.sub_title = str(found.model.workload)
        self.kept = deciding(found)
        self.told = conflicts(found)[:1]
        self.folded = False
        self.shown: list[int] = []
        """Numbers of the steps in the rows; 0 for the beginning."""

    def compose(self) -> ComposeResult:
        """Lay out the two sides."""
        yield Header()
        with Horizontal():
            table: DataTable[Text] = DataTable(id="steps", cursor_type="row")
            yield table
            with VerticalScroll(id="side"):
                yield Static(id="what")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the table."""
        table = self.query_one(DataTable)
        table.add_columns("", *(f"CPU {cpu}" for cpu in range(len(self.found.model.workload.cpus))))
        self._fill(0)
        table.focus()

    def _fill(self, number: int) -> None:
        """Put the rows in, and choose step ``number`` or the next one that is shown."""
        table = self.query_one(DataTable)
        table.clear()
        pair = self._pair()
        self.shown = [0]
        table.add_row(Text("start"))
        for move in self.found.moves:
            if self.folded and move.number not in self.kept | pair and not move.begins:
                continue
            self.shown.append(move.number)
            cells = [Text("") for _ in self.found.model.workload.cpus]
            cells[move.cpu] = self._cell(move, pair)
            table.add_row(Text(str(move.number)), *cells, height=None)
        row = next((i for i, shown in enumerate(self.shown) if shown >= number), len(self.shown) - 1)
        table.move_cursor(row=row)
        self._show(row)

    def _pair(self) -> set[int]:
        return {move.number for conflict in self.told for move in (conflict.first, conflict.second)}

    def _cell(self, move: Move, pair: set[int]) -> Text:
        text = Text()
        if move.begins:
            text.append(f"[{move.operation}]\n", style="reverse")
        text.append(move.step, style="bold" if move.number in self.kept else "dim")
        if move.number in pair:
            text.append(" <- conflict", style="bold yellow")
        if move.broken:
            text.append(f" breaks {', '.join(move.broken)}", style="bold red")
        return text

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the state of the row that the cursor has come to."""
        self._show(event.cursor_row)

    def _show(self, row: int) -> None:
        number = self.shown[row]
        text = Text()
        if number:
            move = self.found.moves[number - 1]
            text.append(f"{number}. CPU {move.cpu}: {move.step}\n", style="bold")
            for access in move.accesses:
                writer = move.seen.get(access.word, 0)
                seen = f"   (as step {writer} left it)" if writer else ""
                text.append(f"  {access.says()}{seen}\n", style="bold" if access.new != access.old else "")
            for note in move.notes:
                text.append(f"  {note}\n")
        else:
            before = "; ".join(f"CPU {p.cpu}: {p.operation}" for p in self.found.prepared)
            text.append(f"Beforehand: {before}\n" if before else "The beginning\n", style="bold")
        text.append("\nState\n", style="bold")
        text.append(words.state(self.found.model.layout, list(self.found.memories[number])))
        if number == len(self.found.moves):
            text.append(f"\n\n{self.found.violation.check}: {self.found.found.wrong}", style="bold red")
            for line in (line for conflict in self.told for line in conflict.says):
                text.append(f"\n{line}", style="yellow")
        self.query_one("#what", Static).update(text)

    def action_go(self, rows: int) -> None:
        """Choose the step that is ``rows`` further down, or up."""
        table = self.query_one(DataTable)
        table.move_cursor(row=max(0, min(len(self.shown) - 1, table.cursor_row + rows)))

    def action_first(self) -> None:
        """Choose the beginning."""
        self.query_one(DataTable).move_cursor(row=0)

    def action_last(self) -> None:
        """Choose the last step."""
        self.query_one(DataTable).move_cursor(row=len(self.shown) - 1)

    def action_fold(self) -> None:
        """Leave out the steps without influence on the check, or show them again."""
        number = self.shown[self.query_one(DataTable).cursor_row]
        self.folded = not self.folded
        self._fill(number)
