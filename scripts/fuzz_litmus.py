"""Hold litmus tests against brute force, and their readers against files that are no litmus tests.

    python scripts/fuzz_litmus.py [--programs 1000] [--mutations 1000] [--seed 1] [FOLDER...]

Drawn programs, under each memory model: prints each on which the search and brute force differ. Mutations of the files
below FOLDER (examples/litmus if there is none): prints each that ends in anything but a verdict or a refusal. Exit
status 1 if there was one.
"""

from __future__ import annotations

import argparse
import random
import sys
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "litmus"))

from compared import difference  # noqa: E402
from mutated import mutated  # noqa: E402

from stress.litmus.outcomes import Bounds, outcomes  # noqa: E402
from stress.litmus.reading import read_test  # noqa: E402
from stress.litmus.unsupported import Unsupported  # noqa: E402


def compare(rng: random.Random, count: int) -> int:
    """Compare drawn programs; return how many differ."""
    bad = 0
    for memory in ("sc", "tso", "pso"):
        for _ in range(count):
            text, said = difference(rng, memory)
            if said:
                bad += 1
                print(f"{memory}: {said}\n{text}\n")
        print(f"{memory}: {count} programs")
    return bad


def mutate(rng: random.Random, count: int, folders: list[Path]) -> int:
    """Read and search mutations; return how many ended in a traceback."""
    texts = [file.read_text() for folder in folders for file in sorted(folder.rglob("*.litmus"))]
    bad = read = 0
    for _ in range(count):
        text = mutated(rng, rng.choice(texts), rng.choice(texts))
        try:
            outcomes(read_test(text, "mutated"), "tso", Bounds(seconds=2))
            read += 1
        except Unsupported:
            pass
        except Exception:
            bad += 1
            print(f"{traceback.format_exc()}\n{text}\n")
    print(f"{count} mutations, {read} of them litmus tests")
    return bad


def main() -> int:
    """Do both."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=1000)
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("folders", nargs="*", type=Path)
    given = parser.parse_args()
    rng = random.Random(given.seed)
    bad = compare(rng, given.programs) + mutate(rng, given.mutations, given.folders or [ROOT / "examples" / "litmus"])
    print(f"seed {given.seed}: {bad} bad")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
