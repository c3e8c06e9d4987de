"""Each finding's sound design is explored completely with one more CPU, and one more operation on each CPU."""

from __future__ import annotations

import pytest

from stress import findings
from stress.explore import Bounds, explore
from stress.operation import Operation
from stress.workload import Workload


@pytest.mark.parametrize("identifier", findings.ids("letter") + findings.ids("further"))
def test_a_larger_workload_is_complete(identifier: str) -> None:
    finding = findings.get(identifier)
    case = finding.case.parse()
    more = Operation("fault", 0, 1)
    columns = [[*column, more] for column in case.cpus] + [[more, Operation("zap", 0, 1)]]
    result = explore(
        finding.corrected(), Workload.of(columns, case.setup, **finding.case.machine), jobs=2, bounds=Bounds(seconds=60)
    )
    assert result.complete
    assert not result.violations
