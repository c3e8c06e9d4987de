"""`explore --finals`: the final states of a workload on the command line, by the words in which they differ."""

import json

import litmus
from click.testing import CliRunner

from stress.cli import main
from stress.explore import search
from stress.explore.final_states import final_values, finals_table


def test_final_states_are_told_apart_by_the_words_that_differ():
    threads = litmus.SHAPES["store buffering"]
    design, workload = litmus.design(threads), litmus.workload(threads)
    result, model = search(design, workload, finals=True)
    states = final_values(model, result)
    seen = {(state["cpu 0 R_USER"], state["cpu 1 R_USER"]) for state in states}
    assert seen == {("0", "1"), ("1", "0"), ("1", "1")}
    result, model = search(design, workload, finals=True, memory="tso")
    buffered = final_values(model, result)
    assert len(states) == 3
    assert len(buffered) == 4


def test_command_lists_them():
    arguments = ["explore", "v12_sound", "fault 0 w | fault 0", "--finals"]
    data = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).stdout)
    assert len(data["finals"]) == data["outcomes"] > 1
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0
    assert all(value in done.stdout for state in data["finals"] for value in state.values())
    assert {state["pte 0:0"] for state in data["finals"]} >= {"frame 1 wdy"}
    assert CliRunner().invoke(main, [*arguments, "--strategy", "random"]).exit_code == 2


def test_no_state_and_equal_states_are_said_in_words():
    assert finals_table([], "plain") == "no final state was listed"
    assert finals_table([{}], "plain") == "all final states are alike"
