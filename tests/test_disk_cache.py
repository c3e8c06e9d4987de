"""Machine code on disk: processes that compile at the same time do not spoil it for each other."""

import os
import subprocess
import sys
import textwrap

FUNCTION = "def plus(x, y):\n    return x + y\n"

# Numba compiles for each literal argument. Each process waits before it writes the index until the other one is there
# too, or for 2 s: long enough for both to have read an index without the other's entry, were there no lock.
ADDS = """
    import sys, time
    from pathlib import Path
    import numba
    from numba.core.caching import IndexDataCacheFile
    from added import plus
    from stress.disk_cache import njit_kept

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
    from stress.disk_cache import njit_kept

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
