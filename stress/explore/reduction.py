"""Fewer interleavings: what each CPU can touch from each place on, learned from what its steps touch.

`with_log` gives a model room for what is touched; `tell_alone` makes of it the tables by which
`stress.explore.model.alone` knows who may go on alone. What is touched is learned, never written by hand: a search in
which something is touched that the tables do not know begins again (docs/reduction.md says why that is enough).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

from shm_layout.record import NOTED
from shm_layout.structs import mm_struct, page_struct, pte_struct, swap_struct, task_struct
from shm_layout.words import Words
from stress.explore.model import alone, image, log, persistent, transition
from stress.explore.model.model import Model
from stress.explore.model.primitives import RAISED
from stress.explore.model.symmetry import groups, own_words
from stress.memory_model import SC
from stress.program import END

MOST_TABLES = 64
"""Combinations of values of words that steps wait for, at most: further words hold nobody up."""
WORD = 64
_ALL = (1 << WORD) - 1


def can_be_reduced(model: Model) -> bool:
    """Return whether states of a model can be passed over: there are no store buffers.

    Nor counters of which nothing is promised once operations have overlapped, which is noted with every CPU.
    """
    return model.memory_model.number == SC and not model.p[image.P_RACED]


def with_log(model: Model) -> Model:
    """Return the model with a log of its transitions, and room for what is touched at each place; nobody goes alone."""
    p = list(model.p)
    p[image.P_RECORDED] = p[p[image.P_RECORD] + NOTED] = 1
    p[image.P_ONE_MOVE] = transition.move
    p[image.P_OWN_STEPS] = [_caught(function) for function in p[image.P_OWN_STEPS]]
    p[image.P_LOG] = len(p)
    p += [0] * log.LOG_WORDS
    p[image.P_TRUTH] = len(p)
    for bits in _truth(model):
        p += [_signed(bits >> WORD * i & _ALL) for i in range((p[image.P_WORDS] >> 6) + 1)]
    places = 1
    p[image.P_PLACES] = len(p)
    for begins, end in _programs(model):
        p.append(places - begins)
        places += end - begins
    p[image.P_TOUCHED] = len(p)
    p[image.P_TOUCHED_ROW] = log.READS + 4 * _words(model)
    p += [0] * (places * p[image.P_TOUCHED_ROW])
    return replace(model, p=p)


def _caught(function: Callable[..., int]) -> Callable[..., int]:
    """Return what a design brings along as compiled code calls it: `RAISED` for an exception.

    It is tried, in plain Python as there, where a CPU may not go on alone with it.
    """

    def caught(m: Words, r: Words) -> int:
        try:
            return function(m, r)
        except Exception:
            return RAISED

    return caught


def learn_touched(model: Model, p: Words) -> None:
    """Take over from the image of a search what was touched."""
    for word in range(model.p[image.P_TOUCHED], model.p[image.P_ALONE] or len(model.p)):
        model.p[word] = int(p[word])


def _truth(model: Model) -> tuple[int, int]:
    """Return bits for the words that say what is true of the mapped pages, and for those of them that are flags."""
    regions = model.layout.regions
    fields = ((task_struct, "mm"), (mm_struct, "mm_users"), (page_struct, "flags"), (pte_struct, "pte"))
    found = [
        sum(1 << regions[struct.name].index(i, field) for i in range(regions[struct.name].count))
        for struct, field in fields
    ]
    return sum(found), found[2]


def _words(model: Model) -> int:
    """Return how many words hold a bit for each word of the memory."""
    return int(-(-model.p[image.P_WORDS] // WORD))


def _operations(model: Model) -> list[range]:
    """For each CPU its rows of operations, by number."""
    p, cpu = model.p, image.P_CPU
    return [range(p[cpu + 2 * i], p[cpu + 2 * i] + p[cpu + 2 * i + 1]) for i in range(p[image.P_CPUS])]


def _programs(model: Model) -> Iterator[tuple[int, int]]:
    """Yield for each operation of the workload the first row of its program, and the row after its last."""
    names = [name for name, _ in model.rows]
    for rows in _operations(model):
        for row in rows:
            begins = model.p[model.p[image.P_OPS] + image.OP_ROW * row + image.OP_PC]
            end = begins
            while end < len(names) and names[end] == names[begins]:
                end += 1
            yield begins, end


def _following(model: Model) -> list[tuple[int, ...]]:
    """For each place those that can come next: where the outcomes of its step lead, or the next operation begins."""
    p, programs = model.p, list(_programs(model))
    firsts = [p[p[image.P_PLACES] + i] + begins for i, (begins, _) in enumerate(programs)]
    following: list[tuple[int, ...]] = [()]
    number = 0
    for rows in _operations(model):
        for row in rows:
            begins, end = programs[number]
            after = (firsts[number + 1],) if row + 1 < rows.stop else ()
            for pc in range(begins, end):
                at = p[image.P_CODE] + p[image.P_ROW] * pc + image.CODE_JUMP
                jumps = p[at : at + p[image.P_ROW] - image.CODE_JUMP]
                places = {firsts[number] + to - begins for to in jumps if to >= 0}
                following.append((*sorted(places), *(after if END in jumps else ())))
            number += 1
    return following


def _alike(model: Model) -> list[int]:
    """Return sets of words of which any may be touched where one is: a field of all page frames, of all swap slots.

    Which of them an operation is given depends on all that happened before. Their bits are set in each number.
    """
    found = []
    for struct, first in ((page_struct, 1), (swap_struct, 0)):
        region = model.layout.regions[struct.name]
        for field in struct.fields:
            found.append(sum(1 << region.index(i, field.name) for i in range(first, region.count)))
    return found


def _interchangeable(model: Model) -> list[tuple[list[range], list[list[int]]]]:
    """Return for each class of CPUs that change places the places of each CPU, and the words of each."""
    if not model.p[image.P_SYMMETRY]:
        return []
    own = own_words(model.p)
    sizes = [end - begins for begins, end in _programs(model)]
    places, first = [], 1
    for rows in _operations(model):
        count = sum(sizes[: len(rows)])
        del sizes[: len(rows)]
        places.append(range(first, first + count))
        first += count
    return [
        ([places[cpu] for cpu in group], [own[cpu] for cpu in group]) for group in groups(model.p) if len(group) > 1
    ]


def _touch_alike(p: list[int], places: list[int], own: list[list[int]], words: int) -> None:
    """Let CPUs that change places touch the same at a place: each of what is its own, of what is another's, and else.

    ``places``: where in the image that place of each CPU lies; ``own``: the words of each.
    """
    theirs = {index for each in own for index in each}
    for half in (0, words):  # read, written
        at = log.READS + half
        bits = [sum((p[place + at + i] & _ALL) << WORD * i for i in range(words)) for place in places]
        common = 0
        mine, its = set(), set()
        for cpu, touched in enumerate(bits):
            common |= touched
            mine |= {k for k, index in enumerate(own[cpu]) if touched >> index & 1}
            its |= {k for o, each in enumerate(own) if o != cpu for k, index in enumerate(each) if touched >> index & 1}
        for index in theirs:
            common &= ~(1 << index)
        for cpu, place in enumerate(places):
            touched = common
            for other, each in enumerate(own):
                for k in mine if other == cpu else its:
                    touched |= 1 << each[k]
            for i in range(words):
                p[place + at + i] = _signed(touched >> WORD * i & _ALL)
    waits = {p[place + log.WAIT_WORD] for place in places} - {0}
    one = len(waits) == 1 and not waits & theirs
    for word in (log.WAITED, log.PASSED):
        united = 0
        for place in places:
            united |= p[place + word]
        for place in places:
            p[place + word] = united if one or word == log.WAITED else -1
            p[place + log.WAIT_WORD] = next(iter(waits), 0)


def _closed(bits: int, alike: list[int]) -> int:
    """Return the words, and those that are alike."""
    for words in alike:
        if bits & words:
            bits |= words
    return bits


class _Touched:
    """What was touched at each place, as numbers of many bits."""

    def __init__(self, model: Model) -> None:
        p, words = model.p, _words(model)
        row, first = p[image.P_TOUCHED_ROW], p[image.P_TOUCHED]
        self.following = _following(model)
        self.half = WORD * words
        alike = _alike(model)
        self.all: list[int] = []
        self.always: list[int] = []
        self.waits: dict[int, tuple[int, int]] = {}
        classes = _interchangeable(model)
        for places, own in classes:
            for same in zip(*places, strict=True):
                _touch_alike(p, [first + row * place for place in same], own, words)
        for place in range(len(self.following)):
            at = first + row * place
            others = [
                sum(1 << index for index in same)
                for places, own in classes
                if not any(place in each for each in places)
                for same in zip(*own, strict=True)
            ]
            bits, always = (
                sum((p[at + log.READS + half + i] & _ALL) << WORD * i for i in range(2 * words))
                for half in (0, 2 * words)
            )
            bits = _closed(bits, alike + others) | _closed(bits >> self.half, alike + others) << self.half
            for i in range(2 * words):
                p[at + log.READS + i] = _signed(bits >> WORD * i & _ALL)
            self.all.append(bits)
            for words_alike in alike:
                for shift in (0, self.half):
                    always |= bits & words_alike << shift  # which of them makes no difference to a future
            self.always.append(always)
            waited = p[at + log.WAITED] & ~p[at + log.PASSED] & ((1 << log.WAIT_VALUES) - 1)
            if waited:
                self.waits[place] = p[at + log.WAIT_WORD], waited

    def future(self, now: dict[int, int]) -> list[int]:
        """For each place what can be touched from there on while words have values (``now``) that steps wait for."""
        held = {place for place, (word, values) in self.waits.items() if word in now and values >> now[word] & 1}
        found = [0 if place in held else bits for place, bits in enumerate(self.all)]
        changed = True
        while changed:
            changed = False
            for place in range(len(found) - 1, 0, -1):
                if place in held:
                    continue
                bits = found[place]
                for after in self.following[place]:
                    bits |= found[after]
                if bits != found[place]:
                    found[place] = bits
                    changed = True
        return found

    def meet(self, touched: list[int], future: list[int]) -> list[int]:
        """For each place the words with a bit for each place from where something touched there can be met.

        ``touched``: words at each place; ``future``: those from each place on.
        """
        low = (1 << self.half) - 1
        words = (len(future) >> 6) + 1
        read = [bits & low for bits in future]
        written = [bits >> self.half for bits in future]
        out = []
        for bits in touched:
            writes = bits >> self.half
            either = bits & low | writes & ~(1 << log.TRUTH)
            met = 0
            if bits:
                for other in range(1, len(future)):
                    if writes & read[other] or either & written[other]:
                        met |= 1 << other
            out += [_signed(met >> WORD * i & _ALL) for i in range(words)]
        return out


def _looked_at_at_rest(model: Model, touched: _Touched) -> bool:
    """Return whether what is looked at in states at rest can change: not where all that is written is a design's own.

    That is what its variables hold, and checks that it brings along look at.
    """
    p = model.p
    if p[image.P_CHECKS] or p[image.P_READS] or p[p[image.P_HOLDERS]]:
        return True
    own = 0
    for region in model.layout.regions.values():
        if region.struct.instances is not None:
            own |= (1 << region.end) - (1 << region.start)
    written = 0
    for bits in touched.all:
        written |= bits >> touched.half
    return written & ~own & ~(1 << log.TRUTH) != 0


def tell_alone(model: Model) -> None:
    """Put the tables by which CPUs go on alone into the image of a model that has a log."""
    touched, words = _Touched(model), _words(model)
    held: dict[int, list[int]] = {}
    for word, bits in touched.waits.values():
        values = {v for v in range(log.WAIT_VALUES) if bits >> v & 1}
        held[word] = sorted(values.union(held.get(word, ())))
    kept: dict[int, list[int]] = {}
    tables = 1
    for word in sorted(held, key=lambda word: (len(held[word]), word)):
        if tables * (1 + len(held[word])) <= MOST_TABLES:
            kept[word] = held[word]
            tables *= 1 + len(held[word])
    p = model.p
    if p[image.P_ALONE]:
        del p[p[image.P_ALONE] :]
    p[image.P_ALONE] = len(p)
    places = len(touched.following)
    head = [0] * alone.A_WORDS
    head[alone.A_WAIT_WORDS], head[alone.A_PLACES], head[alone.A_ROW] = len(kept), places, 2 * words
    head[alone.A_DIGITS] = len(head)
    radix = 1
    for word in kept:
        digits = [0] * alone.VALUES
        for number, value in enumerate(held[word]):
            digits[value] = radix * (number + 1)
        head += [word, *digits]
        radix *= 1 + len(held[word])
    futures: list[int] = []
    written: list[int] = []
    never: list[int] = []
    # The value of the first word counts least, so it is the last of a product.
    choices = [[None, *values] for values in reversed(kept.values())]
    for combination in product(*choices):
        now = {w: v for w, v in zip(reversed(kept), combination, strict=True) if v is not None}
        found = touched.future(now)
        never += touched.meet(touched.always, found)
        for bits in found:
            futures += [_signed(bits >> WORD * i & _ALL) for i in range(2 * words)]
            written.append(sum((bits >> touched.half + word & 1) << k for k, word in enumerate(kept)))
    head[alone.A_FUTURE] = len(head)
    head += futures
    head[alone.A_WRITTEN] = len(head)
    head += written
    head[alone.A_NEVER] = len(head)
    head += never
    head[alone.A_NOW] = len(head)
    head += [0] * (p[image.P_CPUS] + 2)
    head[alone.A_KEPT] = len(head)
    head += [0] * (image.STRIDE * (p[image.P_CPUS] + 1))
    head[alone.A_MADE] = len(head)
    head += [0] * (image.MADE_WORDS * p[image.P_CPUS])
    head[alone.A_CHAIN] = len(head)
    head += [0] * alone.MOST_ALONG
    head[alone.A_AHEAD] = len(head)
    head += [0] * (persistent.AHEAD_WORDS * p[image.P_CPUS])
    head[alone.A_REST] = _looked_at_at_rest(model, touched)
    p += head


def _signed(word: int) -> int:
    return word - (1 << WORD) if word >> WORD - 1 else word


def move_along(model: Model, m: Words, g: Words, choice: int) -> list[int]:
    """Go on from a state by a choice, in plain Python; return it and the choices of CPUs that went on alone then."""
    p = model.p
    if not p[image.P_ALONE]:
        transition.move(p, m, g, choice)
        return [choice]
    alone.move_on(p, m, g, choice)
    chain = p[image.P_ALONE] + p[p[image.P_ALONE] + alone.A_CHAIN]
    return [choice, *p[chain : chain + p[image.P_ALONG]]]
