"""A mix: its text, its errors, and what is drawn of it."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shm_layout.errors import UsageError
from stress import designs
from stress.workers.loop.block import MAX_OPERATIONS, operation_numbers
from stress.workers.mix import DRAWS, default_mix, parse_mix, thresholds

DESIGN = designs.get("v12_sound")
NUMBERS = operation_numbers(DESIGN)
mixes = st.dictionaries(st.sampled_from(sorted(NUMBERS)), st.floats(0, 1000), min_size=1).filter(
    lambda mix: sum(mix.values()) > 0.001
)


@given(mixes)
def test_text_is_read_back(mix):
    assert parse_mix(",".join(f" {name} = {weight!r}" for name, weight in mix.items()), DESIGN) == mix


@given(mixes)
def test_every_operation_gets_its_share_of_the_draws(mix):
    below = thresholds(mix, NUMBERS, MAX_OPERATIONS)
    assert below == sorted(below)
    assert below[-1] == DRAWS
    total = sum(mix.values())
    for name, number in NUMBERS.items():
        share = below[number - 1] - (below[number - 2] if number > 1 else 0)
        assert abs(share - DRAWS * mix.get(name, 0) / total) <= 1
        if not mix.get(name):
            assert share == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("falt=1", "did you mean fault?"),
        ("fault", "give it as fault=60"),
        ("fault=much", "no number"),
        ("fault=-1", "it is 0 to 1e+09"),
        ("fault=inf", "it is 0 to 1e+09"),
        ("fault=nan", "it is 0 to 1e+09"),
        ("fault=1e308,zap=1e308", "it is 0 to 1e+09"),
        ("fault=1,zap=1,fault=0", "fault is named twice"),
        ("fault=0,zap=0", "every weight is 0"),
    ],
)
def test_bad_mix_is_one_line_that_says_what_to_do(text, says):
    with pytest.raises(UsageError) as error:
        parse_mix(text, DESIGN)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_names_that_are_none_are_refused():
    for name in ("", "a/b", "a\nb", "x" * 101, "頁" * 34):
        with pytest.raises(ValueError, match="a name has 1 to 100 bytes"):
            replace(DESIGN, name=name)
    for operation in ("my-op", "class", ""):
        with pytest.raises(ValueError, match="is no name that a function could have"):
            DESIGN.with_programs(**{operation: DESIGN.programs["zap"]})


def test_default_mix_is_what_the_design_has():
    assert set(default_mix(DESIGN)) == {"fault", "zap", "fork", "clone", "exit", "statm", "status", "stat"}
    assert set(default_mix(DESIGN.without("fork", "stat"))) == {"fault", "zap", "clone", "exit", "statm", "status"}


def test_a_designs_own_operations_come_behind_the_known_ones():
    own = DESIGN.with_programs(compact=DESIGN.programs["zap"])
    numbers = operation_numbers(own)
    assert numbers["compact"] > max(NUMBERS.values())
    assert {name: numbers[name] for name in NUMBERS} == NUMBERS
    many = DESIGN.with_programs(**{f"own{n}": DESIGN.programs["zap"] for n in range(MAX_OPERATIONS)})
    with pytest.raises(UsageError, match="of its own"):
        operation_numbers(many)
