"""The plot of `rss` has the figures of its table."""

from types import SimpleNamespace

from stress.rss import curves
from stress.rss.compared import Compared
from stress.rss.cost import Cost
from stress.rss.subjects import SUBJECTS


def test_the_last_point_is_the_figure_of_the_table_and_all_are_measured_alike(monkeypatch, tmp_path):
    asked, drawn = [], []

    def accuracy(subject, **how):
        asked.append(how)
        return SimpleNamespace(worst=how["cpus"])

    def cost(subjects, *, cpus, **how):
        assert how["rounds"] == 20
        return {subject.name: Cost(1.0, None, None, {cpus: 2.0}, None) for subject in subjects}

    monkeypatch.setattr(curves, "measure_accuracy", accuracy)
    monkeypatch.setattr(curves, "measure_cost", cost)
    monkeypatch.setattr(curves, "draw", lambda path, panels, note: drawn.extend(panels))
    line = Compared(SUBJECTS["percpu"], 4, 4, SimpleNamespace(worst=62), None, Cost(9.0, None, None, {4: 8.0}, 7.0))
    curves.draw_curves(tmp_path / "x.svg", [line], cores=2, updates=5000, hop=False, seed=1)
    assert [panel.curves["percpu"] for panel in drawn] == [
        {1: 1, 2: 2, 4: 62},
        {1: 1.0, 2: 1.0, 4: 9.0},
        {1: 2.0, 2: 2.0, 4: 8.0},
    ]
    assert [(how["cpus"], how["updates"], how["hop"]) for how in asked] == [(1, 5000, False), (2, 5000, False)]
