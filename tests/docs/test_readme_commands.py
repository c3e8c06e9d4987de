"""Every command of README and of pages beside it works when it is typed, in the order of the document."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "docs/scripts.md", "docs/litmus.md", "docs/cluster.md")

sys.path.insert(0, str(ROOT / "scripts"))
try:
    import readme_commands
finally:
    sys.path.pop(0)


def test_all_commands_are_found():
    found = [command.text for command in readme_commands.commands((ROOT / "README.md").read_text())]
    assert found[0].startswith("python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/pte-stress run ")
    assert 'pte-stress explore first.py:LRU_FIRST "fault 0 w | swap_out"' in found
    assert "pte-stress list designs" in found
    assert not any("pytest" in command for command in found)  # `.ci/run` runs the tests' command
    assert len(readme_commands.commands((ROOT / "docs" / "scripts.md").read_text())) >= 5
    assert readme_commands.ACTIVATE in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_is_typed_works(document, tmp_path):
    """In this environment: what sets up one of its own begins where the packages are installed."""
    text = (ROOT / document).read_text()
    (tmp_path / ".venv").symlink_to(sys.prefix)
    for name, body in readme_commands.files(text).items():
        (tmp_path / name).write_text(body)
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    (tmp_path / "home").mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "NUMBA_CACHE_DIR": _cache(), "HOME": str(tmp_path / "home")}
    for command in readme_commands.commands(text):
        typed = command.text.rpartition(" && ")[2] if command.sets_up else command.text
        done = subprocess.run(
            ["bash", "-c", typed], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == readme_commands.expected(typed), (typed, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr


def _cache():
    """Where compiled code is kept: another home must not mean to compile all anew."""
    from stress.system.cache_home import code_base

    return str(code_base())


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("```sh\na && b\n```\n", ["a && b"]),
        ("<!-- tests -->\n```sh\npytest\n```\n", []),
        ("    $ pte-stress x\n    what it prints\n", ["pte-stress x"]),
        ("`pte-stress list steps`, `list FILE`, `pte-stress soak FILE`, `pte-stress live`", ["pte-stress list steps"]),
        ("```python\npte-stress\n```\n", []),
    ],
)
def test_what_a_command_is(text, found):
    assert [command.text for command in readme_commands.commands(text)] == found
