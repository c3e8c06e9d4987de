"""Every litmus test of the examples gives the verdict that its CSV files say, and they tell the models apart."""

from pathlib import Path

import pytest

from stress.litmus.expected import read_expected
from stress.litmus.outcomes import outcomes
from stress.litmus.reading import read_test

EXAMPLES = Path(__file__).parents[2] / "examples"
GALLERY = EXAMPLES / "litmus"
PROTOCOLS = EXAMPLES / "protocols"


@pytest.mark.parametrize("memory", ["sc", "tso", "pso"])
@pytest.mark.parametrize("folder", [GALLERY, PROTOCOLS], ids=["litmus", "protocols"])
def test_verdicts_of_the_examples(folder, memory):
    expected = read_expected(folder / f"{memory}.csv")
    found = {}
    for file in sorted(folder.glob("*.litmus")):
        test = read_test(file.read_text(), str(file))
        assert test.name == file.stem
        found[test.name] = outcomes(test, memory).observation
    assert found == expected


def test_models_differ_as_they_should():
    sc, tso, pso = (read_expected(GALLERY / f"{memory}.csv") for memory in ("sc", "tso", "pso"))
    seen = {(sc[name], tso[name], pso[name]) for name in sc}
    assert ("Never", "Sometimes", "Sometimes") in seen
    assert ("Never", "Never", "Sometimes") in seen
    assert not any(tso[name] == "Sometimes" and pso[name] == "Never" for name in sc)


def test_each_protocol_is_sound_everywhere_and_broken_somewhere():
    verdicts = [read_expected(PROTOCOLS / f"{memory}.csv") for memory in ("sc", "tso", "pso")]
    sound = {name for name in verdicts[0] if all(v[name] == "Never" for v in verdicts)}
    broken = verdicts[0].keys() - sound
    assert sound == {name for name in verdicts[0] if "+" not in name}
    assert {name.partition("+")[0] for name in broken} == sound
