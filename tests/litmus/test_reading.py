"""Syntax of litmus files, in C and x86: what is read, and what is refused with its place."""

import pytest

from stress.litmus.outcomes import outcomes
from stress.litmus.reading import read_test
from stress.litmus.unsupported import Unsupported


def c(body, condition, init="", parameters="int *x, int *y"):
    return f"C t\n{{ {init} }}\nP0({parameters})\n{{\n{body}\n}}\n{condition}\n"


def states(text, memory="sc"):
    return [{k.key: v for k, v in s.items()} for s in outcomes(read_test(text, "t"), memory).states]


def state(body, condition, init="", **more):
    (only,) = states(c(body, condition, init, **more))
    return only


def refused(text):
    with pytest.raises(Unsupported) as error:
        outcomes(read_test(text, "t"), "sc")
    return str(error.value)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2 - 7 % 4", 0),
        ("-7 / 2", -3),
        ("1 << 4 | 3 & 6 ^ 1", 16 | (3 & 6) ^ 1),
        ("!0 + !5", 1),
        ("~0", -1),
        ("2 > 1 && 1 >= 2", 0),
        ("0 || 3", 1),
        ("1 ? 5 : 6", 5),
        ("0 ? 5 : 0 ? 6 : 7", 7),
        ("(int)(long)0x1f", 31),
        ("x == x", 1),
        ("x == y", 0),
        ("x == 0", 0),
        ("x && 1", 1),
        ("010", 8),
    ],
)
def test_value_of_an_expression(expression, value):
    assert state(f"r0 = {expression};", "exists (0:r0=0)") == {"0:r0": value}


def test_and_stops_at_what_decides():
    body = "if (READ_ONCE(*x) && xchg(y, 5)) { WRITE_ONCE(*y, 7); }"
    assert state(body, "exists (y=0)") == {"y": 0}
    assert state(body, "exists (y=0)", "x=1; y=0;") == {"y": 5}


def test_if_else_and_nested_statements():
    body = "int r0 = READ_ONCE(*x), r1;\nif (r0 == 1) r1 = 1; else if (r0 == 2) { r1 = 2; } else r1 = 3;\n*y = r1;"
    for given, made in ((1, 1), (2, 2), (5, 3)):
        assert state(body, "exists (y=0)", f"x={given};") == {"y": made}


def test_assignments_and_compound_ones():
    assert state("r0 = r1 = 3; r0 += 2; r1 <<= r0; *x = *x + r1; *x -= 1;", "locations [0:r0; 0:r1; x]") == {
        "0:r0": 5,
        "0:r1": 96,
        "x": 95,
    }


@pytest.mark.parametrize(
    ("call", "returned", "left"),
    [
        ("atomic_add_return(3, x)", 8, 8),
        ("atomic_fetch_sub_relaxed(3, x)", 5, 2),
        ("atomic_inc_return_acquire(x)", 6, 6),
        ("atomic_dec_and_test(x)", 0, 4),
        ("atomic_sub_and_test(5, x)", 1, 0),
        ("atomic_add_negative(-6, x)", 1, -1),
        ("atomic_fetch_or(10, x)", 5, 15),
        ("atomic_fetch_andnot(4, x)", 5, 1),
        ("atomic_add_unless(x, 2, 5)", 0, 5),
        ("atomic_add_unless(x, 2, 4)", 1, 7),
        ("atomic_inc_not_zero(x)", 1, 6),
        ("atomic_xchg_release(x, 9)", 5, 9),
        ("cmpxchg(x, 5, 6)", 5, 6),
        ("cmpxchg_acquire(x, 4, 6)", 5, 5),
        ("atomic_read(x)", 5, 5),
        ("smp_load_acquire(x)", 5, 5),
    ],
)
def test_what_an_atomic_operation_returns_and_leaves(call, returned, left):
    got = state(f"r0 = {call};", "exists (0:r0=0 /\\ x=0)", "int x = 5;", parameters="atomic_t *x")
    assert got == {"0:r0": returned, "x": left}


def test_addresses_are_values_of_their_own():
    body = "r0 = READ_ONCE(*y); r1 = READ_ONCE(*r0); WRITE_ONCE(*y, x);"
    text = c(body, "exists (0:r0=z /\\ 0:r1=3 /\\ y=x)", "int z = 3; y=z;", "int *x, int **y")
    assert states(text) == [{"0:r0": "z", "0:r1": 3, "y": "x"}]
    assert outcomes(read_test(text, "t"), "sc").observation == "Always"


def test_address_plus_a_zero_that_depends_on_a_read():
    assert state("r0 = READ_ONCE(*x); r1 = y + (r0 ^ r0); *r1 = 4;", "exists (y=4)") == {"y": 4}


def test_word_that_stands_only_as_an_initial_value():
    assert state("r0 = *x;", "exists (0:r0=w)", "x=w;") == {"0:r0": "w"}


def test_what_is_never_assigned_reads_0():
    assert state("r0 = 1;", "exists (0:r7=0 /\\ nowhere=0)") == {"0:r7": 0, "nowhere": 0}


def test_ml_comments_outside_of_bodies_and_code_within():
    text = (
        "(* before *)\nC t (* the name *)\n(* { not this one } (* nested *) *)\n{ (* x=7; *) x=1; }\n"
        "P0(int *x /* here */) // and here\n{\n\tr0 = READ_ONCE(*x); // x\n\t/* }*/ (*x) = 2;\n}\n"
        "exists (* J *) (0:r0=1 (* K *)) (* L *)"
    )
    assert states(text) == [{"0:r0": 1}]


def test_header_lines_of_generators():
    text = 'X86 t{}\n"PodWR {"\nCycle=Fre\nPrefetch=0:x=F,0:y=W\n{\n}\n P0 ;\n MOV [x],$1 ;\nexists (x=1)\n'.replace(
        "t{}", "t"
    )
    assert read_test(text, "f").name == "t"
    assert states(text) == [{"x": 1}]


X86 = """X86 SB
{ x=0; y=0; 0:EDX=x; }
 P0          | P1          ;
 mov [x],1   | MOV [y],$1  ;
             | mfence      ;
 MOV EAX,[y] | MOV EAX,[x] ;
"""


def test_x86_lower_case_dollars_left_out_empty_cells_and_p0():
    got = states(X86 + "~ exists (P0:EAX=0 /\\ 1:eax=0) (* behind *)", "tso")
    assert {"0:EAX": 0, "1:eax": 0} in got
    assert len(got) == 4


@pytest.mark.parametrize(
    ("cell", "ebx", "x"),
    [
        ("XCHG [x],EBX", 5, 2),
        ("xchg ebx,[x]", 5, 2),
        ("LOCK XADD [x],EBX", 5, 7),
        ("INC [x]", 2, 6),
        ("LOCK DEC [x]", 2, 4),
        ("ADD [x],EBX", 2, 7),
        ("SUB EBX,[x]", -3, 5),
        ("XOR EBX,EBX", 0, 5),
        ("NEG EBX", -2, 5),
        ("LOCK OR [x],$8", 2, 13),
        ("CMP [x],$5 ; JE L ; MOV EBX,$9 ; L:", 2, 5),
        ("CMP EBX,$5 ; JE L ; MOV EBX,$9 ; L: NOP", 9, 5),
        ("MOV EAX,$5 ; LOCK CMPXCHG [x],EBX ; JNE L ; MOV EBX,$9 ; L:", 9, 2),
        ("MOV EAX,$4 ; LOCK CMPXCHG [x],EBX ; JNE L ; MOV EBX,$9 ; L:", 2, 5),
        ("MOV ECX,$x ; MOV [ECX],EBX", 2, 2),
    ],
)
def test_x86_instruction(cell, ebx, x):
    text = f"X86 t\n{{ x=5; 0:EBX=2; }}\nP0;\n{cell};\nexists (0:EBX=0 /\\ x=0)"
    assert states(text) == [{"0:EBX": ebx, "x": x}]


def test_x86_64_has_the_source_first():
    text = "X86_64 t\n{ uint64_t x; uint64_t 0:rax; }\nP0;\nmovq $1,(x);\nmovq (x),%rax;\nexists (0:rax=1)"
    assert states(text) == [{"0:rax": 1}]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("AArch64 t\n{}\nP0;\n", "line 1, column 1: not supported: the architecture 'AArch64'"),
        (c("while (1) ;", "exists (x=0)"), "line 5, column 1: not supported: loops"),
        (c("\n  r0 = x->next;", "exists (x=0)"), "line 6, column 9: not supported: arrays and structures"),
        (c("r0 = frobnicate(x);", "exists (x=0)"), "line 5, column 6: not supported: frobnicate()"),
        (c("r0 = smp_mb();", "exists (x=0)"), "not readable: the value of smp_mb(), which has none"),
        (c("spin_lock(x); *x = 1;", "exists (y=0)"), "an access to a lock"),
        (c("spin_unlock(x);", "exists (y=0)"), "a lock that this thread does not hold"),
        (
            c("r0 = 1; *r0 = 2;", "exists (y=0)"),
            "line 5, column 9: not supported: an access through what is no address",
        ),
        (c("r0 = x + 1;", "exists (y=0)"), "arithmetic with addresses"),
        (c("r0 = 1 / r1;", "exists (y=0)"), "arithmetic"),
        (c("r0 = 1;", "exists (y=0"), "not readable"),
        (c("r0 = 1;", "exists (3:r0=0)"), "there is no thread 3"),
        ("X86 t\n{}\nP0;\nL: JMP L;\nexists (x=0)", "line 4, column 4: not supported: loops"),
        ("X86 t\n{}\nP0;\nMOVNTI [x],EAX;\nexists (x=0)", "the instruction MOVNTI"),
        ("X86 t\n{}\nP0;\nMOV AL,[x];\nexists (x=0)", "the register AL"),
        ("X86_64 t\n{}\nP0;\nmovl $1,(x);\nmovq (x),%rax;\nexists (x=0)", "accesses of different sizes"),
        ("C t\n", "no block of initial values"),
        ("", "not readable"),
    ],
)
def test_what_is_refused_has_line_and_column(text, said):
    assert said in refused(text)
    assert refused(text).startswith("line ")
