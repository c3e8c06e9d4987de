"""The page walks agree with each other, and with what was touched."""

import mmap
import os
from dataclasses import replace

import pytest

from stress.live.load import files
from stress.live.load.crew import Crew, wait_at_rest
from stress.live.load.request import ANON, ANON_SHARED, FILE, FILE_SHARED, MAP, SHMEM, TOUCH
from stress.live.measure import compare_walks
from stress.live.reading import page_walk, pagemap
from stress.live.reading.machine import page_size
from stress.live.reading.process import Process, parse_status

PAGES = 32


@pytest.fixture(scope="module")
def worker():
    size = PAGES * page_size()
    with (
        files.unnamed_files(size, None) as (file, tmpfs),
        Crew(1, 2, slots=8, slot_bytes=size, file=file, tmpfs=tmpfs) as crew,
    ):
        yield crew


def kinds(crew):
    wait_at_rest(crew.processes)
    return page_walk.by_kind(page_walk.smaps(crew.processes[0]))


@pytest.mark.parametrize(
    ("kind", "write", "expected"),
    [
        (ANON, 1, (PAGES, 0, 0)),
        (ANON, 0, (0, 0, 0)),
        (FILE, 0, (0, PAGES, 0)),
        (FILE, 1, (PAGES, 0, 0)),
        (FILE_SHARED, 1, (0, PAGES, 0)),
        (SHMEM, 1, (0, 0, PAGES)),
        (ANON_SHARED, 1, (0, 0, PAGES)),
    ],
)
def test_each_kind_is_walked_as_what_it_is(worker, kind, write, expected):
    channel = worker.threads[0][0]
    channel.ask(MAP, 0, ANON, page_size(), 0)
    before = kinds(worker)
    channel.ask(MAP, 0, kind, PAGES * page_size(), 0)
    channel.ask(TOUCH, 0, 0, PAGES, page_size(), write)
    after = kinds(worker)
    assert (after.anon - before.anon, after.file - before.file, after.shmem - before.shmem) == expected
    assert after.rss == after.anon + after.file + after.shmem


def test_workers_get_no_huge_pages(worker):
    fields = parse_status(worker.processes[0].read("status"))
    assert fields.get("THP_enabled", "0") == "0"  # shown since Linux 5.0


def test_smaps_rollup_smaps_and_pagemap_agree(worker):
    for channel in worker.threads[0]:
        channel.ask(MAP, 1, ANON, PAGES * page_size(), 0)
        channel.ask(TOUCH, 1, 0, PAGES, page_size(), 0)  # the zero page: mapped, not counted
    wait_at_rest(worker.processes)
    (process,) = worker.processes
    mappings = page_walk.smaps(process)
    walked = page_walk.by_kind(mappings)
    assert page_walk.rollup(process).rss == walked.rss
    ranges = [(m.start, m.end) for m in mappings if m.counted]
    ways = 0
    for scan in (True, False):
        try:
            assert pagemap.count_pages(process.pid, ranges, scan) == (walked.anon, walked.shared)
            ways += 1
        except pagemap.Forbidden:
            continue
    if not ways:
        pytest.skip("pagemap is not permitted here")


def test_pagemap_leaves_the_zero_page_out():
    with mmap.mmap(-1, 8 * page_size(), mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as area:
        if hasattr(mmap, "MADV_NOHUGEPAGE"):
            area.madvise(mmap.MADV_NOHUGEPAGE)
        for page in range(8):
            assert area[page * page_size()] == 0
        area[0] = area[3 * page_size()] = 1
        where = next(m for m in page_walk.smaps(Process(os.getpid())) if m.start <= address_of(area) < m.end)
        start = address_of(area)
        assert where.rss >= 2
        for scan in (True, False):
            try:
                assert pagemap.count_pages(os.getpid(), [(start, start + 8 * page_size())], scan) == (2, 0)
            except pagemap.Forbidden as why:
                pytest.skip(str(why))


def address_of(area):
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(area))


def test_two_walks_that_differ_are_told(worker):
    wait_at_rest(worker.processes)
    (process,) = worker.processes
    mappings = page_walk.smaps(process)
    rss = page_walk.by_kind(mappings).rss
    assert compare_walks(process.pid, mappings, rss)[::2] == (0, [])
    assert "smaps_rollup has" in compare_walks(process.pid, mappings, rss + 1)[2][0]
    assert "no smaps_rollup" in compare_walks(process.pid, mappings, None)[1]
    counted = next(n for n, m in enumerate(mappings) if m.counted)
    mappings[counted] = replace(mappings[counted], rss=mappings[counted].rss + 1)
    _, walks, differ = compare_walks(process.pid, mappings, None)
    assert "pagemap not compared" in walks or "pagemap" in differ[0]


def test_files_have_no_name_and_all_blocks(tmp_path):
    with files.unnamed_files(1 << 16, str(tmp_path)) as (file, tmpfs):
        assert not list(tmp_path.iterdir())
        assert os.fstat(file).st_nlink == 0
        assert os.fstat(file).st_blocks * 512 >= 1 << 16
        assert os.fstat(tmpfs).st_blocks * 512 >= 1 << 16


def test_files_that_cannot_be_made(refused, tmp_path):
    refused(3, "cannot create a file in", "--dir", tmp_path / "none", "--rounds", 1)
    refused(3, "cannot create a file in", "--table", "--kind", "file", "--dir", "/proc", "--repeat", 1)
