"""Tables of JSON have keys that a script can type."""

import re

from hypothesis import given
from hypothesis import strategies as st

from stress.commands.columns import key_of, keyed, unit_of


def test_a_unit_is_no_part_of_a_key():
    assert (key_of("faults, 2 workers, M/s"), unit_of("faults, 2 workers, M/s")) == ("faults_2_workers", "M/s")
    assert (key_of("read, 16 tasks, ns"), unit_of("read, 16 tasks, ns")) == ("read_16_tasks", "ns")
    assert (key_of("of list, 2"), unit_of("of list, 2")) == ("of_list_2", "")
    assert (key_of("pages"), unit_of("pages")) == ("pages", "")


@given(st.lists(st.text("ab ,/M2s", min_size=1, max_size=6), max_size=5, unique=True))
def test_every_column_keeps_a_key_of_its_own(heads):
    found = keyed([dict.fromkeys(heads, 1), {}])
    assert [column["name"] for column in found["columns"]] == heads
    assert found["table"] == [{column["key"]: 1 for column in found["columns"]}, {}]
    assert len(found["table"][0]) == len(heads)
    assert all(re.fullmatch("[a-z0-9_]*", column["key"]) for column in found["columns"])
