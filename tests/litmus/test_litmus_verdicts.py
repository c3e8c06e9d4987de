"""Conditions, quantifiers, filters and bounds: from final states to verdicts, and how they are printed."""

import json

import pytest

from stress.litmus.outcomes import Bounds, outcomes
from stress.litmus.printing import herd_lines, outcomes_json
from stress.litmus.reading import read_test

SB = """X86 SB
{}
P0          | P1          ;
MOV [x],$1  | MOV [y],$1  ;
MOV EAX,[y] | MOV EAX,[x] ;
"""


def found(condition, memory="tso", **bounds):
    return outcomes(read_test(SB + condition, "SB.litmus"), memory, Bounds(**bounds))


@pytest.mark.parametrize(
    ("condition", "positive"),
    [
        ("exists 0:EAX=1 /\\ 1:EAX=1", 1),
        ("exists 0:EAX=1 \\/ 1:EAX=1", 3),
        ("exists not 0:EAX=1 /\\ 1:EAX=1", 1),
        ("exists ~(0:EAX=1 /\\ 1:EAX=1)", 3),
        ("exists 0:EAX=0 /\\ 1:EAX=1 \\/ 1:EAX=0", 3),
        ("exists 0:EAX=1:EAX", 2),
        ("exists 0:EAX=[x]", 2),
        ("exists 0:EAX != 1", 2),
        ("exists 0:EAX=1 => 1:EAX=0", 3),
        ("exists 0:EAX=-1", 0),
        ("exists true", 4),
        ("exists false", 0),
        ("(0:EAX=0)", 2),
    ],
)
def test_states_that_fulfil_a_proposition(condition, positive):
    assert found(f"locations [0:EAX; 1:EAX] {condition}").positive == positive


@pytest.mark.parametrize(
    ("condition", "observation", "ok"),
    [
        ("exists (0:EAX=0 /\\ 1:EAX=0)", "Sometimes", True),
        ("exists (0:EAX=7)", "Never", False),
        ("~exists (0:EAX=7)", "Never", True),
        ("~exists (0:EAX=0)", "Sometimes", False),
        ("forall (x=1)", "Always", True),
        ("forall (0:EAX=0)", "Sometimes", False),
        ("", "Always", True),
        ("filter (0:EAX=1) exists (0:EAX=0)", "Never", False),
        ("filter (0:EAX=1) forall (0:EAX=1)", "Always", True),
    ],
)
def test_observation_speaks_of_the_proposition_and_ok_of_the_quantifier(condition, observation, ok):
    result = found(condition)
    assert (result.observation, result.ok) == (observation, ok)


def test_filter_comes_before_all_counting():
    result = found("locations [x;] filter (0:EAX=1) exists (1:EAX=1)")
    assert (result.positive, result.negative) == (1, 1)
    assert [list(state.values()) for state in result.states] == [[0, 1], [1, 1]]


def test_printed_as_herd7_does():
    lines = herd_lines(found("locations [x] exists (0:EAX=0 /\\ ~ (1:EAX=1 \\/ x=2))"))
    assert lines[:10] == [
        "Test SB Allowed",
        "States 4",
        "0:EAX=0; 1:EAX=0; [x]=1;",
        "0:EAX=0; 1:EAX=1; [x]=1;",
        "0:EAX=1; 1:EAX=0; [x]=1;",
        "0:EAX=1; 1:EAX=1; [x]=1;",
        "Ok",
        "Witnesses",
        "Positive: 1 Negative: 3",
        "Condition exists (0:EAX=0 /\\ not (1:EAX=1 \\/ [x]=2))",
    ]
    assert lines[10] == "Observation SB Sometimes 1 3"


def test_json_has_these_keys():
    data = json.loads(json.dumps(outcomes_json(found("exists (0:EAX=0 /\\ x=1)"))))
    assert data["file"] == "SB.litmus"
    assert (data["name"], data["memory"], data["supported"], data["complete"]) == ("SB", "tso", True, True)
    assert data["states"] == [{"0:EAX": 0, "x": 1}, {"0:EAX": 1, "x": 1}]
    assert (data["observation"], data["ok"], data["positive"], data["negative"]) == ("Sometimes", True, 1, 1)


def ring(threads, first, then, condition):
    parts = ["C ring\n{}\n"]
    for k in range(threads):
        here, there = f"x{k}", f"x{(k + 1) % threads}"
        body = f"{first.format(here=here, there=there)} {then.format(here=here, there=there)}"
        parts.append(f"P{k}(int *{here}, int *{there})\n{{\n{body}\n}}\n")
    each = " /\\ ".join(condition.format(k=k) for k in range(threads))
    return "".join(parts) + f"exists ({each})"


LOAD_BUFFERING = ("r0 = READ_ONCE(*{here});", "WRITE_ONCE(*{there}, 1);", "{k}:r0=1")
STORE_BUFFERING = ("WRITE_ONCE(*{here}, 1);", "r0 = READ_ONCE(*{there});", "{k}:r0=0")


def test_nineteen_threads_are_decided_without_all_their_states():
    bounds = Bounds(seconds=60, states=2000)
    never = outcomes(read_test(ring(19, *LOAD_BUFFERING), "ring"), "tso", bounds)
    assert (never.observation, never.complete, never.all_states) == ("Never", True, False)
    sometimes = outcomes(read_test(ring(19, *STORE_BUFFERING), "ring"), "tso", bounds)
    assert (sometimes.observation, sometimes.complete, sometimes.all_states) == ("Sometimes", True, False)


def test_all_states_of_ten_threads():
    result = outcomes(read_test(ring(10, *LOAD_BUFFERING), "ring"), "pso")
    assert (result.all_states, len(result.states), result.observation) == (True, 2**10 - 1, "Never")


def test_search_that_met_a_bound_says_neither_never_nor_always():
    cut = outcomes(
        read_test(ring(8, "r0 = xchg({here}, 1);", "r1 = xchg({there}, 2);", "not x{k}=9"), "r"),
        "tso",
        Bounds(states=5),
    )
    assert (cut.observation, cut.complete, cut.all_states) == (None, False, False)
    assert "Not complete" in herd_lines(cut)[-1]
