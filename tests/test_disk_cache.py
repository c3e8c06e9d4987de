"""Machine code on disk: what is damaged is compiled anew, what others may have written is not read.

Processes that compile at the same time do not spoil it for each other.
"""

import errno
import os
import random
import shutil
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from shm_layout.errors import MachineError
from stress.compiling import disk_cache
from stress.system.own_sources import ROOT

FUNCTION = "def plus(x, y):\n    return x + y\n"

# Numba compiles for each literal argument. Each process waits before it writes the index until the other one is there
# too, or for 2 s: long enough for both to have read an index without the other's entry, were there no lock.
ADDS = """
    import sys, time
    from pathlib import Path
    import numba
    from numba.core.caching import IndexDataCacheFile
    from added import plus
    from stress.compiling.disk_cache import njit_kept

    kept = njit_kept(plus)
    save = IndexDataCacheFile._save_index

    def waits_for_the_other(self, overloads):
        Path(f"{sys.argv[1]}.reached").touch()
        until = time.monotonic() + 2
        while len(list(Path().glob("*.reached"))) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        save(self, overloads)

    IndexDataCacheFile._save_index = waits_for_the_other

    @numba.njit
    def calls():
        return kept(40, VALUE)

    print(calls())
"""
READS = """
    import numba
    from added import plus
    from stress.compiling.disk_cache import njit_kept

    kept = njit_kept(plus)

    @numba.njit
    def calls():
        return 1000 * kept(40, 1) + kept(40, 2)

    print(calls(), sum(kept.stats.cache_hits.values()))
"""


def start(folder, code, *args):
    path = os.pathsep.join([str(folder), *sys.path])
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": path}
    command = [sys.executable, "-c", textwrap.dedent(code), *args]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)


def test_signatures_added_at_once_are_both_kept(tmp_path):
    (tmp_path / "added.py").write_text(FUNCTION)
    both = [start(tmp_path, ADDS.replace("VALUE", str(value)), str(value)) for value in (1, 2)]
    assert [process.communicate(timeout=120)[0].split() for process in both] == [["41"], ["42"]]
    assert start(tmp_path, READS).communicate(timeout=120)[0].split() == ["41042", "2"]


FACTORY = """
def times(factor):
    def product(x):
        return factor * x
    return product

twice, thrice = times(2), times(3)
"""
COMPILES = {
    "processes apart": """
        import factory, numba, sys
        from stress.compiling.disk_cache import njit_kept

        for name in sys.argv[1:]:
            njit_kept(getattr(factory, name)).compile((numba.int64,))
    """,
    "children": """
        import factory, numba, os, sys
        from stress.compiling.disk_cache import njit_kept

        for name in sys.argv[1:]:
            pid = os.fork()
            if pid == 0:
                njit_kept(getattr(factory, name)).compile((numba.int64,))
                os._exit(0)
            assert os.waitpid(pid, 0)[1] == 0
    """,
}
CALLS_BOTH = """
    import numba
    from factory import twice, thrice
    from stress.compiling.disk_cache import njit_kept

    kept, other = njit_kept(twice), njit_kept(thrice)

    @numba.njit("int64(int64)")
    def calls(x):
        return 1000 * kept(x) + other(x)

    print(calls(7), sum(kept.stats.cache_hits.values()) + sum(other.stats.cache_hits.values()))
"""


@pytest.mark.parametrize("names", [("twice", "thrice"), ("thrice", "twice")])
@pytest.mark.parametrize("who", COMPILES)
def test_closures_that_two_processes_compiled_are_not_taken_for_one_another(tmp_path, who, names):
    (tmp_path / "factory.py").write_text(FACTORY)
    for arguments in (names,) if who == "children" else ((name,) for name in names):
        start(tmp_path, COMPILES[who], *arguments).communicate(timeout=120)
    assert start(tmp_path, CALLS_BOTH).communicate(timeout=120)[0].split() == ["14021", "2"]


KEEPS = """
    import sys
    from numba import types
    from added import plus, twice
    from stress.compiling.disk_cache import cache_folder, cfunc_kept, njit_kept

    kept = njit_kept(plus)
    kept.compile("int64(int64, int64)")
    made = cfunc_kept(types.int64(types.int64))(twice)
    print(kept(40, 2), made.ctypes(21), sum(kept.stats.cache_hits.values()) + made.cache_hits, cache_folder())
"""
TWO = FUNCTION + "def twice(x):\n    return 2 * x\n"


def keeps(folder, **environment):
    """Compile two functions, or find them: what they give, how many were found, the folder, and stderr."""
    path = os.pathsep.join([str(folder), *sys.path])
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": path, **environment}
    command = [sys.executable, "-c", textwrap.dedent(KEEPS)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    plus, twice, found, kept_in = done.stdout.split()
    assert (plus, twice) == ("42", "42")
    return int(found), Path(kept_in), done.stderr


@pytest.fixture
def added(tmp_path):
    (tmp_path / "added.py").write_text(TWO)
    return tmp_path


KEEPS_OWN = """
    import numba
    from stress.compiling.disk_cache import njit_kept
    from stress.kernel.pgtable import is_swap_entry

    kept = njit_kept(is_swap_entry)
    kept.compile((numba.int64,))
    print(sum(kept.stats.cache_hits.values()), is_swap_entry.__code__.co_filename)
"""


def test_a_copy_of_the_package_finds_what_another_one_has_compiled(tmp_path):
    """As where tests run in a working tree, and the commands that they start are those that are installed."""
    found = []
    for copy in ("one", "two"):
        for package in ("stress", "shm_layout"):
            shutil.copytree(
                ROOT / package, tmp_path / copy / package, ignore=shutil.ignore_patterns("docs", "examples")
            )
        path = os.pathsep.join([str(tmp_path / copy), *sys.path])
        environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": path}
        command = [sys.executable, "-P", "-c", textwrap.dedent(KEEPS_OWN)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, cwd=tmp_path)
        hits, file = done.stdout.split()
        assert Path(file).is_relative_to(tmp_path / copy)
        found.append(int(hits))
    assert found == [0, 1]


def flipped(data):
    return data[:-40] + bytes([data[-40] ^ 1]) + data[-39:]


DAMAGES = {
    "cut to 50 bytes": lambda data: data[:50],
    "empty": lambda data: b"",
    "random bytes": lambda data: random.Random(1).randbytes(len(data)),
    "one bit": flipped,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_compiled_anew(added, damage):
    """The index of one function, the code of the other."""
    found, folder, _ = keeps(added)
    assert found == 0
    assert keeps(added)[0] == 2
    (index,), (code,) = folder.rglob("added.plus-*.nbi"), folder.rglob("added.twice-*.nbc")
    for path in (index, code):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    assert keeps(added)[::2] == (0, "")
    assert keeps(added)[::2] == (2, "")


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_what_is_kept_is_for_the_owner_alone_whatever_the_umask(added, umask):
    before = os.umask(umask)
    try:
        assert keeps(added)[0] == 0
        assert keeps(added)[0] == 2
    finally:
        os.umask(before)
    for path in (added / "cache", *(added / "cache").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_file_that_others_may_write_to_is_not_read(added):
    _, folder, _ = keeps(added)
    for path in folder.rglob("*.nbc"):
        path.chmod(0o666)
    assert keeps(added)[0] == 0
    assert keeps(added)[0] == 2


def places(added):
    """Folders that others may write to, or that belong to others, where machine code was to be kept."""
    return {
        "base": added / "cache",
        "program's folder": added / "cache" / "pte-stress",
        "sources' folder": next((added / "cache" / "pte-stress").iterdir()),
    }


@pytest.mark.parametrize("where", ["base", "program's folder"])
def test_a_folder_that_others_may_write_to_is_left_for_another(added, where):
    keeps(added)
    places(added)[where].chmod(0o777)
    found, folder, said = keeps(added, XDG_CACHE_HOME=str(added / "home"))
    assert found == 0
    assert folder.is_relative_to(added / "home" / "pte-stress")
    assert said.count("\n") == 1
    assert f"others may write to {places(added)[where]}" in said
    assert f"kept in {added / 'home' / 'pte-stress'} instead" in said


def test_a_folder_as_tmp_holds_folders_of_ones_own(added):
    (added / "cache").mkdir()
    (added / "cache").chmod(0o1777)
    assert keeps(added)[::2] == (0, "")
    assert keeps(added)[::2] == (2, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("where", ["base", "program's folder"])
def test_a_folder_of_another_user_is_left_for_another(added, where):
    keeps(added)
    os.chown(places(added)[where], 12345, 12345)
    found, folder, said = keeps(added, XDG_CACHE_HOME=str(added / "home"))
    assert found == 0
    assert folder.is_relative_to(added / "home")
    assert f"{places(added)[where]} belongs to uid 12345" in said


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_files_of_another_user_are_not_read(added):
    _, folder, _ = keeps(added)
    for path in folder.rglob("*.nb?"):
        os.chown(path, 12345, 12345)
    assert keeps(added)[0] == 0


def test_no_folder_of_ones_own_is_the_machines_error(added):
    keeps(added)
    for name in ("cache", "home"):
        (added / name).mkdir(exist_ok=True)
        (added / name).chmod(0o777)
    code = "import stress.system.cache_home as c, pwd; pwd.getpwuid = {}.__getitem__; c.code_base()"
    places_named = {"NUMBA_CACHE_DIR": str(added / "cache"), "XDG_CACHE_HOME": str(added / "home")}
    environment = {**os.environ, **places_named}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith(f"shm_layout.errors.MachineError: others may write to {added / 'cache'}")
    assert last.endswith("set NUMBA_CACHE_DIR to a folder that only you may write to")


def test_the_folder_of_these_sources_is_refused_by_name_when_others_may_write_there(added):
    keeps(added)
    places(added)["sources' folder"].chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-m", "stress", "explore", "v12", "fault 0"],
        env={**os.environ, "NUMBA_CACHE_DIR": str(added / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (3, "")
    assert "pte-stress: error: others may write to" in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_room_for_compiled_code_names_the_folder(added, monkeypatch):
    keeps(added)
    folder = places(added)["sources' folder"]

    def full(path, data, mode):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(disk_cache, "replace_file", full)
    with pytest.raises(MachineError, match=r"No space left on device\): make room there, or set NUMBA_CACHE_DIR") as no:
        disk_cache.keep_source(folder / "new.py", b"")
    assert str(folder) in str(no.value)


WHERE = "import stress.system.cache_home as c; base = c.code_base(); (base / 'pte-stress').stat(); print(base)"
NO_HOME = "import pwd; pwd.getpwuid = {}.__getitem__; "


def without_a_place(folder, code, **changes):
    """The folder for compiled code of a process that has none of its own, and what it says."""
    folder.mkdir()
    usual = {name: value for name, value in os.environ.items() if name not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
    environment = {**usual, "TMPDIR": str(folder), **changes}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    return done, Path(done.stdout.strip())


def test_a_user_without_a_home_has_code_in_a_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME")
    done, base = without_a_place(tmp_path / "temporary", NO_HOME + WHERE)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(f"pte-stress: this user has no home folder: compiled code lies in {base} until")
    assert done.stderr.count("\n") == 1
    assert base.parent == tmp_path / "temporary"
    assert not base.exists()


def test_a_home_that_cannot_be_written_to_is_left_for_a_temporary_folder(tmp_path):
    (tmp_path / "file").touch()
    done, base = without_a_place(tmp_path / "temporary", NO_HOME + WHERE, HOME=str(tmp_path / "file"))
    assert done.returncode == 0, done.stderr
    assert f"no folder {tmp_path}/file/.cache/pte-stress (Not a directory): compiled code lies in {base}" in done.stderr
    assert not base.exists()


def test_a_forked_child_leaves_the_temporary_folder_to_its_parent(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME")
    code = f"{NO_HOME}import os, sys; {WHERE}; sys.stdout.flush(); pid = os.fork(); pid or sys.exit(0); os.wait()"
    done, base = without_a_place(tmp_path / "temporary", f"{code}; assert base.exists()")
    assert done.returncode == 0, done.stderr
    assert not base.exists()


def test_neither_home_nor_temporary_folder_is_the_machines_error(tmp_path, monkeypatch):
    monkeypatch.delenv("HOME")
    fails = "import tempfile; tempfile.mkdtemp = lambda **_: open('/dev/null/x'); "
    done, _ = without_a_place(tmp_path / "temporary", NO_HOME + fails + WHERE)
    assert "MachineError: this user has no home folder, and no temporary folder either" in done.stderr
    assert done.stderr.rstrip().endswith("set NUMBA_CACHE_DIR to a folder that you may write to")
