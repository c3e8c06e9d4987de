"""`scripts/kernels.py`: what it calls wrong of what `live` printed on a kernel, without booting one."""

import copy
import importlib.util
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

import stress

SCRIPT = Path(stress.__file__).parents[1] / "scripts" / "kernels.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("kernels_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def figure(name, worst, held, bound):
    return {"name": name, "worst_error_pages": worst, "held_back_error_pages": held, "bound_pages": bound}


@pytest.fixture
def boot(script):
    """A boot of Linux 6.12.117 with 8 CPUs, as it was seen."""
    names = (("stat", "rss", 230, 744, 744), ("statm", "resident", 0, 0, 0), ("status", "VmRSS", 0, 0, 0))
    ways = {"stat": "per CPU, batch 32", "statm": "exact", "status": "exact"}
    peak = {"interface": "status", "name": "VmHWM", "held_back_error_pages": 700, "bound_pages": 744}
    live = {
        "kernel": "6.12.117+deb13-amd64",
        "cpus": 8,
        "interfaces": [{"name": i, "figures": [figure(n, *rest)]} for i, n, *rest in names],
        "peaks": [peak],
        "accounting": {name: {"seen": way, "decided": way} for name, way in ways.items()},
        "held_back_less_because": None,
    }
    figures = [{"interface": i, "name": n, "bound_pages": bound} for i, n, _, _, bound in names]
    figures.append({"interface": "status", "name": "VmHWM", "bound_pages": 744})
    return script.Boot({"figures": figures, "recommendation": "do"}, live, 0)


def test_what_holds_is_no_problem(script, boot):
    assert boot.problems() == []
    assert "| stat rss " in script.report([boot])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda live: live["interfaces"][0]["figures"][0].update(worst_error_pages=745), "745 pages seen"),
        (lambda live: live["interfaces"][1]["figures"][0].update(held_back_error_pages=1), "1 pages seen"),
        (lambda live: live["interfaces"][0]["figures"][0].update(bound_pages=700), "live says 700, explain says 744"),
        (lambda live: live["interfaces"][0]["figures"][0].update(held_back_error_pages=371), "371 pages held back of"),
        (lambda live: live["accounting"]["statm"].update(seen="per CPU, batch 32"), "statm: counts per CPU"),
        (lambda live: live["peaks"][0].update(held_back_error_pages=745), "status VmHWM: 745 pages seen"),
    ],
)
def test_what_does_not_hold_is_named(boot, change, words):
    boot.live = copy.deepcopy(boot.live)
    change(boot.live)
    (problem,) = boot.problems()
    assert problem.startswith("6.12.117+deb13-amd64, 8 CPUs: ")
    assert words in problem


def test_a_status_and_a_reason(boot):
    boot.live["interfaces"][0]["figures"][0]["held_back_error_pages"] = 93
    boot.live["held_back_less_because"] = "this process may run on 1 of 8 CPUs"
    assert boot.problems() == []
    boot.status = 1
    assert boot.problems() == ["6.12.117+deb13-amd64, 8 CPUs: live ended with status 1"]


def test_without_packages_it_is_skipped_with_the_reason(script, tmp_path, monkeypatch):
    monkeypatch.setattr(script.shutil, "which", lambda program: program)
    done = CliRunner().invoke(script.main, ["--packages", str(tmp_path)])
    assert done.exit_code == 0
    assert done.output.startswith(f"skipped: no linux-image-*.deb in {tmp_path}")


def test_the_tables_go_between_the_marks_of_a_document(script, tmp_path):
    document = tmp_path / "x.md"
    document.write_text(f"a\n{script.SEEN[0]}\nold\n{script.SEEN[1]}\nb\n")
    script.write_into(document, "new")
    assert document.read_text() == f"a\n{script.SEEN[0]}\nnew\n{script.SEEN[1]}\nb\n"
    document.write_text("nothing")
    with pytest.raises(script.click.UsageError, match="lacks the lines"):
        script.write_into(document, "new")
