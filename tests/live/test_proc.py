"""Who a process is, and what cannot be read of it: each one clear error."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from shm_layout.errors import MachineError, UsageError
from stress.live.reading import page_walk
from stress.live.reading.process import Process, ProcessEnded, hidepid, parse_stat

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="drops privileges, which takes root")


def no_such_pid():
    """A number that no process has."""
    pid = int(Path("/proc/sys/kernel/pid_max").read_text()) - 1
    while os.path.exists(f"/proc/{pid}"):
        pid -= 1
    return pid


def kernel_thread():
    """The pid of a kernel thread, skipping where none shows (a container)."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = parse_stat(Path(f"/proc/{name}/stat").read_bytes())
        except OSError:
            continue
        if int(fields[6]) & 0x00200000:
            return int(name)
    pytest.skip("no kernel thread shows in this /proc")


def test_no_such_pid(refused):
    pid = no_such_pid()
    refused(2, f"no process has pid {pid}", "--pid", pid, "--count", 1)
    refused(2, "no process has pid 99999999999999999999", "--pid", 99999999999999999999)


def test_kernel_thread(refused):
    pid = kernel_thread()
    refused(2, "is a kernel thread: it has no memory of its own", "--pid", pid)


def test_zombie(refused):
    child = subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.DEVNULL)
    while parse_stat(Path(f"/proc/{child.pid}/stat").read_bytes())[0] != "Z":
        time.sleep(0.01)
    refused(2, "is a zombie: it has ended", "--pid", child.pid)
    child.wait()


def test_ended_while_looked_at(start_python):
    child = start_python("")
    process = Process(child.pid)
    assert process.alive()
    assert process.stat().rss > 0
    child.kill()
    child.wait()
    assert not process.alive()
    for read in (process.stat, process.statm, process.status, lambda: page_walk.rollup(process)):
        with pytest.raises(ProcessEnded, match="has ended"):
            read()


def test_a_zombie_has_ended(start_python):
    child = start_python("")
    process = Process(child.pid)
    child.send_signal(signal.SIGKILL)
    while process.alive():
        time.sleep(0.01)
    with pytest.raises(ProcessEnded):
        process.status()
    with pytest.raises(ProcessEnded):
        process.stat()


def test_another_process_with_the_number(start_python):
    process = Process(start_python("").pid)
    process.start_time = "1"
    assert not process.alive()
    with pytest.raises(ProcessEnded):
        process.stat()


def test_names_with_blanks_and_brackets(start_python):
    child = start_python("open('/proc/self/comm', 'w').write('a) R (b c')")
    assert Process(child.pid).name == "a) R (b c"
    assert Process(child.pid).stat().rss > 0


def dropped(code, before=""):
    """Run Python code as nobody, in a mount namespace of its own where `before` ran as root: its output."""
    if not shutil.which("unshare"):
        pytest.skip("no unshare to make a mount namespace with")
    script = f'{before}\nexec "$@"'
    drop = f"import os; os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    tail = f"""
from shm_layout.errors import PteStressError
try:
{code}
except PteStressError as why:
    print(type(why).__name__, why.exit_status, why)
"""
    imports = "import stress.live.reading.process, stress.live.reading.page_walk, psutil, stress.live.watch\n"
    done = subprocess.run(
        [
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-ec",
            script,
            "sh",
            sys.executable,
            "-c",
            imports + drop + tail,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode and "mount" in done.stderr + done.stdout:
        pytest.skip(f"cannot mount here: {done.stderr}")
    assert not done.returncode, done.stderr
    return done.stdout


LOOK = f"    stress.live.reading.page_walk.rollup(stress.live.reading.process.Process({os.getpid()}))"


@needs_root
def test_no_permission_is_a_line():
    out = dropped(LOOK)
    assert out.startswith(f"MachineError 3 no permission to read /proc/{os.getpid()}/smaps_rollup"), out
    assert "shows as uid 0, you are uid 65534; be that user or have CAP_SYS_PTRACE" in out


@needs_root
@pytest.mark.parametrize(("option", "shown"), [("1", "noaccess"), ("2", "invisible")])
def test_hidepid_is_named_where_it_hides_a_process(option, shown):
    out = dropped(LOOK, before=f"mount -t proc -o hidepid={option} proc /proc")
    assert out.startswith(f"MachineError 3 pid {os.getpid()} exists, but /proc is mounted with hidepid="), out
    assert shown in out or f"hidepid={option}" in out


@needs_root
def test_own_processes_need_no_privileges():
    out = dropped(
        "    print(stress.live.reading.page_walk.rollup(stress.live.reading.process.Process(os.getpid())).rss > 100)"
    )
    assert out.strip() == "True"


def test_hidepid_of_mounts():
    line = "45 43 0:21 / /proc rw,relatime - proc proc rw{}\n"
    assert hidepid(line.format("")) is None
    assert hidepid(line.format(",hidepid=0")) is None
    assert hidepid(line.format("") + line.format(",gid=7,hidepid=2")) == "2"
    assert hidepid(line.format(",hidepid=invisible")) == "invisible"
    assert hidepid(line.format(",hidepid=2") + line.format("")) is None


@pytest.fixture
def old_proc(tmp_path):
    """A /proc with this process alone in it, which lacks some files: what an old kernel shows."""

    def make(*names):
        folder = tmp_path / str(os.getpid())
        folder.mkdir()
        for name in names:
            (folder / name).write_bytes(Path(f"/proc/self/{name}").read_bytes())
        return Process(os.getpid(), str(tmp_path))

    return make


def test_without_smaps_rollup_smaps_is_walked(old_proc):
    process = old_proc("stat", "status", "statm", "smaps")
    pages, source, _ = page_walk.rollup(process)
    assert source == "smaps"
    assert abs(pages - page_walk.rollup(Process(os.getpid())).rss) < 2000


def test_without_any_walk(old_proc):
    with pytest.raises(MachineError, match="CONFIG_PROC_PAGE_MONITOR"):
        page_walk.rollup(old_proc("stat", "status"))


def test_unreadable_stat(tmp_path):
    with pytest.raises(MachineError, match="exists, but"):
        Process(os.getpid(), str(tmp_path))
    with pytest.raises(UsageError, match="no process has pid"):
        Process(no_such_pid(), str(tmp_path))
