"""Counterexamples saved and run again; files that must be refused."""

import importlib.util
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from shm_layout.errors import MachineError, UsageError
from stress import designs
from stress.cli import main
from stress.explore import explore
from stress.explore.counterexample.saved import load, save
from stress.explore.counterexample.trace import trace
from stress.explore.model.model import build
from stress.workload import Workload

FUZZ = Path(__file__).resolve().parents[2] / "scripts" / "fuzz.py"
WITHOUT_COMPILER = """
import sys
for name in ("numba", "numpy", "llvmlite"):
    sys.modules[name] = None  # importing it fails
from pathlib import Path
from stress.explore.counterexample.saved import load
from stress.explore.counterexample.trace import trace
saved = load(Path(sys.argv[1]))
found = trace(saved.model, saved.violation)
print(len(found.rows), found.rows[-1].step, found.rows[-1].details)
"""


@pytest.fixture
def saved(tmp_path):
    design, workload = designs.get("v12"), Workload.parse("fault 0 w | swap_out frame=1", arch="64")
    violation = explore(design, workload).violation("mapcount")
    path = tmp_path / "found.json"
    save(path, "v12", design, workload, violation)
    return path, violation, workload


def test_same_end_without_compiler_or_arrays(saved):
    path, violation, workload = saved
    run = [sys.executable, "-c", WITHOUT_COMPILER, str(path)]
    out = subprocess.run(run, check=True, capture_output=True, text=True).stdout
    here = trace(build(designs.get("v12"), workload), violation)
    assert out.split(maxsplit=2) == [str(len(here.rows)), "page_remove_rmap", f"{here.rows[-1].details}\n"]
    assert here.rows[-1].details == ("page 1 mapcount: 0 -> -1",)
    assert here.rows[-1].broken == ("mapcount",)


def test_states_between_are_shown(saved):
    path, violation, _ = saved
    loaded = load(path)
    found = trace(loaded.model, loaded.violation, states=True)
    assert loaded.violation == violation
    assert len(found.states) == len(found.rows)
    assert "pte 0:0 = frame 1 wdy" in found.states[4]
    assert "mapcount -1" in found.states[-1]


@pytest.mark.parametrize(("key", "value"), [("schedule", [0, 0]), ("check", "owner"), ("design", "v12_sound")])
def test_an_edited_file_is_refused(saved, key, value):
    path, *_ = saved
    data = json.loads(path.read_text())
    data[key] = value
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="changed since it was saved"):
        load(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"pte_stress": "counterexample 0"}'])
def test_what_is_no_such_file_is_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"other\.json"):
        load(path)
    with pytest.raises(UsageError, match="cannot read"):
        load(tmp_path / "missing.json")


def test_another_version_of_the_design_is_refused(tmp_path):
    module = tmp_path / "mine.py"
    source = "from stress import designs\nMINE = designs.get('v12')\n"
    module.write_text(source)
    workload = Workload.parse("fault 0 w | swap_out frame=1")
    design = designs.get("v12")
    reference = f"{module}:MINE"
    save(tmp_path / "a.json", reference, design, workload, explore(design, workload).violation("mapcount"))
    assert load(tmp_path / "a.json", allow_code=True).violation.check == "mapcount"
    other = tmp_path / "other.py"
    other.write_text(source.replace("v12", "v12_sound"))
    save(tmp_path / "b.json", f"{other}:MINE", design, workload, explore(design, workload).violation("mapcount"))
    with pytest.raises(UsageError, match="another version of design"):
        load(tmp_path / "b.json", allow_code=True)


@pytest.fixture
def of_own_code(tmp_path):
    """A saved counterexample whose design is in a Python file that leaves a mark when it is run."""
    module, mark = tmp_path / "mine.py", tmp_path / "mark"
    module.write_text(f"open({str(mark)!r}, 'w').close()\nfrom stress import designs\nMINE = designs.get('v12')\n")
    workload = Workload.parse("fault 0 w | swap_out frame=1")
    violation = explore(designs.get("v12"), workload).violation("mapcount")
    save(tmp_path / "found.json", f"{module}:MINE", designs.get("v12"), workload, violation)
    return tmp_path / "found.json", f"{module}:MINE", mark


def test_code_that_only_a_file_names_is_not_run(of_own_code):
    path, reference, mark = of_own_code
    done = CliRunner().invoke(main, ["replay", str(path)])
    assert (done.exit_code, done.stdout, mark.exists()) == (2, "", False)
    assert done.stderr.count("\n") == 1
    assert f"`--design {reference}`" in done.stderr
    assert "--allow-code" in done.stderr


@pytest.mark.parametrize("how", ["--allow-code", "--design"])
def test_code_that_the_user_names_or_allows_is_run(of_own_code, how):
    path, reference, mark = of_own_code
    done = CliRunner().invoke(main, ["replay", str(path), how, *([reference] if how == "--design" else [])])
    assert (done.exit_code, mark.exists()) == (1, True)
    assert f"design {reference}, " in done.stdout


def test_the_design_that_the_user_names_is_taken(of_own_code):
    path, _, mark = of_own_code
    assert CliRunner().invoke(main, ["replay", str(path), "--design", "v12"]).exit_code == 1
    done = CliRunner().invoke(main, ["replay", str(path), "--design", "v12_sound"])
    assert (done.exit_code, mark.exists()) == (2, False)
    assert "another version of design v12_sound" in done.stderr


SPOILED = {
    "nested deeply": b"[" * 100_000,
    "nested in objects": b'{"a":' * 100_000,
    "a NUL": b'{"a": "\0"}',
    "no UTF-8": b'{"a": "\xff"}',
    "a number of 5,000 digits": b'{"a": ' + b"1" * 5000 + b"}",
    "nothing": b"",
}


@pytest.mark.parametrize("what", SPOILED)
@pytest.mark.parametrize("command", [["replay"], ["hunt", "--from"], ["explore", "v12", "--file"]], ids="-".join)
def test_a_file_that_is_spoiled_is_one_line(tmp_path, command, what):
    path = tmp_path / "spoiled.json"
    path.write_bytes(SPOILED[what])
    done = CliRunner().invoke(main, [*command, str(path)])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert len(done.stderr) < 1000


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["folder", "pipe", "device", "none", "too long a name"])
@pytest.mark.parametrize("command", [["replay"], ["hunt", "--from"], ["explore", "v12", "--file"]], ids="-".join)
def test_what_is_no_file_is_one_line(tmp_path, command, what):
    os.mkfifo(tmp_path / "pipe")
    paths = {"folder": tmp_path, "pipe": tmp_path / "pipe", "device": Path("/dev/zero"), "none": tmp_path / "none"}
    path = paths.get(what, tmp_path / ("x" * 300))
    done = CliRunner().invoke(main, [*command, str(path)])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_pipe_that_somebody_writes_to_is_read_to_its_end(tmp_path):
    """As with `replay <(xz -dc found.json.xz)`: the writer takes its time."""
    reading, writing = os.pipe()
    with subprocess.Popen(["sh", "-c", "sleep 0.3; printf 'fault 0; '; sleep 0.3; printf 'zap 0'"], stdout=writing):
        os.close(writing)
        done = CliRunner().invoke(main, ["explore", "v12_sound", "--file", f"/dev/fd/{reading}", "--json"])
    os.close(reading)
    assert json.loads(done.stdout)["workload"] == "fault 0; zap 0"


@pytest.mark.parametrize("text", ["1" * 5000 + ": fault 0 w || zap 0", "0: fault\n0 w || zap 0", "1: || zap 0", "1:||"])
def test_setups_that_are_none_are_refused_and_line_ends_are_blanks(text):
    data = {"machine": {}, "operations": text}
    if "\n" in text:
        assert str(Workload.from_json(data)) == "fault 0 w || zap 0"
        return
    with pytest.raises(UsageError) as refused:
        Workload.from_json(data)
    assert len(str(refused.value)) < 200


def test_a_machine_of_too_many_words_is_refused():
    workload = Workload.parse("fault 0", anon=4096, mms=4096, frames=2, mmu=True)
    with pytest.raises(UsageError, match="a machine to explore is small"):
        build(designs.get("v12"), workload)


def test_a_full_disk_leaves_no_part_of_a_file(saved, tmp_path, monkeypatch):
    path, violation, workload = saved
    before = path.read_bytes()

    class Full:
        def __init__(self, fd, *_):
            os.close(fd)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            raise OSError(28, "No space left on device")

        def write(self, data):
            pass

    monkeypatch.setattr("stress.system.writing.open", Full, raising=False)
    for target in (path, tmp_path / "new.json"):
        with pytest.raises(MachineError, match=rf"--save {target}: cannot write in {tmp_path} \(No space left"):
            save(target, "v12", designs.get("v12"), workload, violation)
    assert os.listdir(tmp_path) == [path.name]
    assert path.read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk that is full")
def test_a_disk_that_is_full_is_named(tmp_path):
    script = 'mount -t tmpfs -o size=4k none "$0" && echo full > "$0/full" && exec "$@"'
    command = [sys.executable, "-m", "stress", "explore", "v12", "fault 0 w | swap_out frame=1", "--json", "--save"]
    mount = ["unshare", "-m", "sh", "-c", script, str(tmp_path)]
    if subprocess.run([*mount, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount anything")
    look = f"{' '.join(map(repr, command))} {tmp_path}/found.json; echo $? >&2; ls -A {tmp_path} >&2"
    done = subprocess.run([*mount, "sh", "-c", look], capture_output=True, text=True, check=False)
    line, status, *left = done.stderr.splitlines()
    assert (status, left) == ("3", ["full"])
    assert f"cannot write in {tmp_path} (No space left on device): make room there" in line


def test_a_saved_file_has_the_mode_that_it_had_and_links_are_followed(saved, tmp_path):
    path, violation, workload = saved
    path.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(path.name)
    path.write_text("old")
    save(link, "v12", designs.get("v12"), workload, violation)
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert load(path).violation == violation


def test_what_is_no_file_is_written_to(saved, tmp_path):
    _, violation, workload = saved
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    save(tmp_path / "pipe", "v12", designs.get("v12"), workload, violation)
    assert json.loads(os.read(reading, 1 << 16))["check"] == "mapcount"
    os.close(reading)


def test_spoiled_files_with_the_right_checksum_end_as_they_may():
    spec = importlib.util.spec_from_file_location("fuzz_script", FUZZ)
    fuzz = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz)
    seed, wrong = random.SystemRandom().randrange(2**32), []
    statuses = fuzz.fuzz_replays(200, seed, failed=lambda *found: wrong.append(found))
    assert wrong == [], f"python scripts/fuzz.py replays --seed {seed}"
    assert statuses.keys() >= {1, 2}
