"""The command line as a whole: light help, one line for each error, exit statuses, and `clean`."""

import errno
import json
import os
import platform
import re
import resource
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from shm_layout.creator import this_process
from shm_layout.errors import MachineError, PteStressError, UsageError
from shm_layout.placement import PLACEMENTS
from stress import __version__, cli
from stress.commands.options import SEEDS, format_option, json_option, seed_option
from stress.report.words import did_you_mean

HEAVY = ["numba", "numpy", "rich", "tabulate", "hypothesis", "psutil", "posix_ipc"]


def program(*args, code=None, **kwargs):
    """Run `pte-stress args` as a process of its own, or Python `code` in its place."""
    command = [sys.executable, *(["-c", textwrap.dedent(code)] if code else ["-m", "stress"]), *args]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **kwargs)


def in_process(*args):
    return CliRunner().invoke(cli.main, args)


@pytest.fixture
def probe(monkeypatch):
    """Make a function into the command `probe` for the length of a test."""

    def add(function, *decorators):
        for decorator in decorators:
            function = decorator(function)
        command = click.command()(function)
        monkeypatch.setattr(sys.modules[__name__], "command_on_trial", command, raising=False)
        monkeypatch.setitem(cli.COMMANDS, "probe", cli.Entry(f"{__name__}:command_on_trial", "On trial."))

    return add


@pytest.mark.parametrize("option", ["--help", "--version", "clean --help", "nonsense"])
def test_help_imports_nothing_heavy(option):
    code = f"""
        import sys
        sys.argv = ["pte-stress", *{option.split()!r}]
        try:
            import stress.__main__
        finally:
            print(sorted(set({HEAVY!r}) & set(sys.modules)), file=sys.stderr)
    """
    assert program(code=code).stderr.splitlines()[-1] == "[]"


@pytest.mark.parametrize("command", ["run", "table", "layout"])
def test_help_names_every_placement_and_no_other_is_taken(command):
    shown = in_process(command, "--help").output
    assert set(re.search(r"share a cache line:([\w\s,]+)\.", shown)[1].replace(",", " ").split()) == PLACEMENTS.keys()
    done = program(command, "--placement", "big_raeder")
    assert done.returncode == 2
    assert done.stderr == f"{cli.PROGRAM}: error: no placement 'big_raeder'; did you mean big_reader?\n"


def test_help_lists_every_command_by_task():
    shown = in_process("-h")
    assert shown.exit_code == 0
    lines = shown.stdout.splitlines()
    for task, rows in cli.TASKS.items():
        names = [row.split()[0] for row in rows.strip().splitlines()]
        after = lines[lines.index(f"{task}:") + 1 :][: len(names)]
        assert [line.split(maxsplit=1) for line in after] == [[name, cli.COMMANDS[name].help] for name in names]
    assert in_process().stdout == in_process("--help").stdout == shown.stdout


def test_version_names_python_numba_and_kernel():
    said = program("--version").stdout
    assert said.startswith(f"pte-stress, version {__version__} (Python {platform.python_version()}, Numba ")
    assert said.endswith(f", Linux {platform.release()})\n")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_completes_commands_by_one_line(shell):
    def asked(what, **words):
        return program(env={**os.environ, **words, "_PTE_STRESS_COMPLETE": f"{shell}_{what}"}).stdout

    assert "pte_stress_completion" in asked("source")
    place = "ex" if shell == "fish" else "1"
    found = asked("complete", COMP_WORDS="pte-stress ex", COMP_CWORD=place)
    assert "explore" in found
    assert "hunt" not in found


def test_the_installed_command_is_the_same():
    script = Path(sys.executable).parent / "pte-stress"
    done = subprocess.run([script, "--help"], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == program("--help").stdout


WRONG = {
    ("cleen",): "no command 'cleen'; did you mean clean?",
    ("xyzzy",): "no command 'xyzzy'; there is explore, run, ",
    ("--frobnicate",): "No such option",
    ("clean", "--jsno"): "No such option",
    ("clean", "--format"): "requires an argument",
    ("clean", "--format", "htlm"): "no table format 'htlm'; did you mean html?",
    ("layout", "--pages", "9" * 30): "more than the 140,737,488,355,328 bytes that a process can map",
    ("clean", "now"): "unexpected extra argument (now); see `pte-stress clean --help`",
}


@pytest.mark.parametrize("args", WRONG)
def test_wrong_usage_is_one_line(args):
    done = program(*args)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("pte-stress: error: ")
    assert done.stderr.count("\n") == 1
    assert WRONG[args] in done.stderr


@pytest.mark.parametrize(("error", "status"), [(PteStressError, 1), (UsageError, 2), (MachineError, 3)])
def test_errors_carry_their_status(error, status, probe):
    def fail():
        raise error("it broke\n  in two lines")

    probe(fail)
    done = in_process("probe")
    assert (done.exit_code, done.stdout) == (status, "")
    assert done.stderr == "pte-stress: error: it broke in two lines\n"


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES, errno.ENOENT])
def test_what_the_system_refuses_is_one_line(number, probe):
    """Such as a process more than it allows, or a folder for temporary files that is none."""

    def refused():
        raise OSError(number, os.strerror(number), "/some/file")

    probe(refused)
    done = in_process("probe")
    assert (done.exit_code, done.stdout) == (3, "")
    assert done.stderr == f"pte-stress: error: /some/file: {os.strerror(number)}\n"


@pytest.mark.parametrize("status", [0, 1, 7])
def test_a_command_chooses_its_status(status, probe):
    def check():
        click.echo("done")
        click.get_current_context().exit(status)

    probe(check)
    done = in_process("probe")
    assert (done.exit_code, done.output) == (status, "done\n")


@pytest.mark.parametrize("error", [ZeroDivisionError("no\nnumber"), KeyError("list"), OSError(errno.EDOM, "odd")])
def test_a_fault_of_the_program_is_one_line_and_a_report(error, probe, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def fail():
        click.echo("found so far")
        raise error

    probe(fail)
    done = in_process("probe")
    assert (done.exit_code, done.stderr.count("\n")) == (70, 1)
    line = done.stderr
    assert line.startswith(f"pte-stress: error: a fault of pte-stress itself ({type(error).__name__}: ")
    report = Path(re.search(r"the report is (\S+): please send it in", line)[1])
    assert report.parent.parent == tmp_path
    assert stat.S_IMODE(report.parent.stat().st_mode) == 0o700
    text = report.read_text()
    assert text.startswith("pte-stress probe\npte-stress ")
    for said in ("Python ", "kernel Linux", "numba ", "Traceback (most recent call last)", type(error).__name__):
        assert said in text


def test_a_fault_without_a_place_for_its_report_is_one_line(probe, monkeypatch):
    def fail():
        raise KeyError("list")

    def no_place(**_):
        raise OSError(errno.ENOSPC, "full")

    probe(fail)
    monkeypatch.setattr("tempfile.mkdtemp", no_place)
    done = in_process("probe")
    assert done.exit_code == 70
    assert done.stderr == (
        "pte-stress: error: a fault of pte-stress itself (KeyError: 'list'); no place to keep a report of it\n"
    )


LONG = """
    import sys, time
    import click
    from stress import cli

    @click.command()
    def probe():
        print("started", flush=True)
        {}

    cli.COMMANDS["probe"] = cli.Entry("__main__:probe", "")
    cli.main(["probe"])
"""


def test_an_interrupted_command_ends_with_130():
    code = textwrap.dedent(LONG.format("time.sleep(60)"))
    command = [sys.executable, "-c", code]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout.readline() == "started\n"
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=30)
    assert child.returncode == 130
    assert stderr.strip() == "pte-stress: interrupted"


LOST = """
import ctypes, signal
        ctypes.CFUNCTYPE(None)(lambda: signal.raise_signal(signal.{}))()
        time.sleep(20)
"""


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_interrupted_in_a_callback(number):
    """Where Python prints an exception and forgets it."""
    done = program(code=LONG.format(LOST.strip().format(number)))
    assert (done.returncode, done.stderr) == (130, "\npte-stress: interrupted\n")


CLEANING = """
try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("cleaning", flush=True)
            time.sleep(0.3)
            print("cleaned", flush=True)
"""


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_does_not_disturb_what_the_first_has_begun(second):
    command = [sys.executable, "-c", textwrap.dedent(LONG.format(CLEANING.strip()))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout.readline() == "started\n"
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "cleaning\n"
        child.send_signal(second)
        out, err = child.communicate(timeout=30)
    assert (child.returncode, out, err) == (130, "cleaned\n", "\npte-stress: interrupted\n")


@pytest.mark.parametrize("printing", ["while True: print('x' * 100)", "input(); print('at exit')"])
def test_nobody_reads_the_output(printing):
    """Both when a print fails and when only the last flush does."""
    command = [sys.executable, "-c", textwrap.dedent(LONG.format(printing))]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as child:
        assert child.stdout.readline() == "started\n"
        child.stdout.close()
        child.stdin.write("\n")
        child.stdin.close()
        assert child.stderr.read() == ""
    assert child.returncode == 141


def test_options_that_commands_share_reach_them(probe):
    def show(**given):
        click.echo(json.dumps(given))

    probe(show, json_option, format_option, seed_option)
    default = json.loads(in_process("probe").output)
    assert default.keys() == {"as_json", "table_format", "seed"}
    assert (default["as_json"], default["table_format"]) == (False, "simple")
    assert 0 <= default["seed"] < SEEDS
    given = json.loads(in_process("probe", "--json", "--format", "github", "--seed", "0").output)
    assert given == {"as_json": True, "table_format": "github", "seed": 0}
    assert len({json.loads(in_process("probe").output)["seed"] for _ in range(5)}) > 1
    for bad in ("-1", str(SEEDS), "x"):
        assert in_process("probe", "--seed", bad).exit_code == 2


@settings(max_examples=100)
@given(st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, unique=True), st.data())
def test_the_nearest_name_to_a_known_one_is_itself(known, data):
    name = data.draw(st.sampled_from(known))
    assert did_you_mean(name, known) == f"; did you mean {name}?"
    assert did_you_mean("0123456789", known) == f"; there is {', '.join(known)}"


@pytest.fixture
def leftover(cleaning_alone):
    """A file of 24 bytes as a dead run leaves it: of our pid, but made before this process began."""
    me = this_process()
    path = Path(f"/dev/shm/pte-stress.{me.pid}.1.{me.pid_namespace}.{me.time_namespace}.{77:016x}.run")
    path.write_bytes(bytes(24))
    yield path
    path.unlink(missing_ok=True)


def test_clean_json(leftover):
    done = in_process("clean", "--json")
    answer = json.loads(done.stdout)
    assert {"name": leftover.name, "bytes": 24, "pid": os.getpid(), "what": "no segment"} in answer["removed"]
    assert answer["bytes"] == sum(one["bytes"] for one in answer["removed"])
    assert not leftover.exists()


def test_clean_table(leftover):
    done = in_process("clean", "--format", "tsv")
    head, *rows, summary = done.stdout.partition("\n\n")[0].splitlines()  # after it: what is left alone
    assert head.split() == ["name", "bytes", "pid", "what"]
    cells = [[cell.strip() for cell in row.split("\t")] for row in rows]
    assert [leftover.name, "24", str(os.getpid()), "no segment"] in cells
    assert summary.startswith(f"# removed {len(rows)}, ")
    assert not leftover.exists()
    assert leftover.name not in in_process("clean").stdout


def test_clean_with_nothing_to_do(monkeypatch, tmp_path):
    monkeypatch.setattr("shm_layout.leftovers.SHM", tmp_path)
    assert "nothing to remove" in in_process("clean").stdout
    done = json.loads(in_process("clean", "--json").stdout)
    del done["about"]
    assert done == {"removed": [], "bytes": 0}


def test_what_clean_cannot_judge_is_listed_apart(monkeypatch, tmp_path):
    monkeypatch.setattr("shm_layout.leftovers.SHM", tmp_path)
    (tmp_path / "pte-stress.5.1.77.run").write_bytes(bytes(24))
    left = {"name": "pte-stress.5.1.77.run", "bytes": 24, "pid": 5, "why": "made by an older version"}
    done = json.loads(in_process("clean", "--json").stdout)
    del done["about"]
    assert done == {"removed": [], "bytes": 0, "left": [left]}
    said = in_process("clean").stdout
    assert "nothing to remove" in said
    assert "left alone 1: whether these runs still live cannot be told from here" in said


def test_clean_without_shm(monkeypatch, tmp_path):
    monkeypatch.setattr("shm_layout.leftovers.SHM", tmp_path / "gone")
    done = in_process("clean")
    assert done.exit_code == 3
    assert done.stderr.startswith(f"pte-stress: error: cannot list {tmp_path / 'gone'} (No such file")


INTERRUPTED = """
from stress import cli

def interrupted(self, args, extra):
    exec("raise KeyboardInterrupt")  # as it happens in a module that is being imported

cli.LazyGroup._status = interrupted
cli.main()
"""


def test_the_exit_status_of_an_interrupted_import(tmp_path):
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    command = [sys.executable, "-m", "interrupted"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "\npte-stress: interrupted\n")


CLOSED = """
    import os, sys
    for number in {numbers}:
        os.close(number)
    os.execv(sys.executable, [sys.executable, "-m", "stress", *{arguments!r}])
"""


@pytest.mark.parametrize("numbers", [[0], [1], [2], [0, 2], [0, 1, 2]])
@pytest.mark.parametrize("arguments", [["layout"], ["live", "--rounds", "1"], ["layout", "--cpus", "0"]])
def test_closed_streams_lead_nowhere(numbers, arguments):
    """What is opened first would be written to in their place."""
    done = program(code=CLOSED.format(numbers=numbers, arguments=arguments))
    failing = "--cpus" in arguments
    assert done.returncode == (2 if failing else 0)
    assert bool(done.stdout) == (1 not in numbers and not failing)
    assert done.stderr.count("\n") == (1 if failing and 2 not in numbers else 0)


@pytest.mark.parametrize("arguments", [["--help"], ["layout"], ["layout", "--json"]])
def test_output_that_has_no_room_is_the_machines_fault(arguments):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "stress", *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 3
    says = "standard output: No space left on device: make room, or write to another folder"
    assert done.stderr == f"{cli.PROGRAM}: error: {says}\n"


@pytest.mark.parametrize("command", [["explore", "v12", "fault 0"], ["run"], ["hunt", "v12"], ["live"], ["review"]])
def test_too_little_address_space_is_the_machines_error(command):
    """Libraries that compile would end the process, each in its own way."""
    done = program(*command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (300 << 20, 300 << 20)))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "pte-stress: error: 300 MiB of address space are too little to compile in: allow 1024 MiB or more (ulimit -v)\n"
    )


def test_a_name_that_the_terminal_cannot_show_is_printed_in_escapes():
    code = """
        import click
        from stress import cli
        cli.LazyGroup._status = lambda *_: click.echo("caf\\udce9") or 0
        cli.main()
    """
    done = program(code=code)
    assert (done.returncode, done.stdout) == (0, "caf\\udce9\n")


@pytest.mark.parametrize(("arguments", "status"), [(["nosuch"], 2), (["layout", "--cpus", "0"], 2), (["layout"], 3)])
def test_an_error_that_cannot_be_written_leaves_its_status(arguments, status):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "stress", *arguments]
        buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        done = subprocess.run(command, stdout=full, stderr=full, env=buffered, check=False)
    assert done.returncode == status


@pytest.mark.parametrize("command", [["explore", "v12", "fault 0"], ["run"], ["table", "--pages", "9"]])
def test_a_folder_for_compiled_code_that_cannot_be_is_said(command):
    done = program(*command, env={**os.environ, "NUMBA_CACHE_DIR": "/dev/null/x"})
    assert done.returncode == 3
    assert done.stdout == ""
    assert "(Not a directory): set NUMBA_CACHE_DIR to a folder that you may write to\n" in done.stderr
    assert done.stderr.count("\n") == 1
