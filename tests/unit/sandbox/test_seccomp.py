"""The allow list of system calls, number by number, on both architectures; the filters run in an interpreter."""

from __future__ import annotations

import mmap
import socket

import bpf
import pytest
from syscall_tables import AARCH64, ALLOWED, CHECKED, REASONS, X86_64

from reelbeam.transforms.media.sandbox import seccomp

_NAMES = {seccomp.ALLOW: "allow", seccomp.EPERM: "EPERM", seccomp.ENOSYS: "ENOSYS", seccomp.KILL: "kill"}
_MACHINES = {"x86_64": (0xC000003E, X86_64), "aarch64": (0xC00000B7, AARCH64)}
_PROT = mmap.PROT_READ | mmap.PROT_WRITE


def answer(machine: str, number: int, *arguments: int, audit: int | None = None) -> str:
    program = seccomp.program(machine)
    assert program is not None
    return _NAMES[bpf.verdict(program, _MACHINES[machine][0] if audit is None else audit, number, arguments)]


@pytest.mark.parametrize("machine", _MACHINES)
def test_each_system_call_is_classified_and_the_filter_agrees(machine: str) -> None:
    _, numbers = _MACHINES[machine]
    assert len(set(numbers.values())) == len(numbers) > 300
    for name, number in numbers.items():
        expected = "allow" if REASONS[name] in (ALLOWED, CHECKED) else "ENOSYS"
        assert (name, answer(machine, number)) == (name, expected)


@pytest.mark.parametrize("machine", _MACHINES)
def test_each_number_without_a_name_is_refused(machine: str) -> None:
    named = set(_MACHINES[machine][1].values())
    allowed = [number for number in range(2000) if number not in named and answer(machine, number) != "ENOSYS"]
    assert allowed == []


def test_the_tables_of_both_architectures_allow_the_same_calls() -> None:
    only_x86_64 = {name for name, reason in REASONS.items() if reason in (ALLOWED, CHECKED)} - set(AARCH64)
    assert only_x86_64 == {"time"}


@pytest.mark.parametrize("machine", _MACHINES)
@pytest.mark.parametrize(
    ("name", "argument", "good", "bad"),
    [
        ("mmap", 2, [0, _PROT], [mmap.PROT_EXEC, _PROT | mmap.PROT_EXEC]),
        ("mprotect", 2, [0, _PROT], [mmap.PROT_EXEC, _PROT | mmap.PROT_EXEC]),
        ("sendto", 3, [0], [socket.MSG_OOB, socket.MSG_DONTWAIT, socket.MSG_NOSIGNAL, 1 << 31]),
        ("fcntl", 1, [0, 1, 3, 1030], [2, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 36, 1024, 1026, 1031, 1033, 1034, 1036]),
    ],
)
def test_arguments_are_checked(machine: str, name: str, argument: int, good: list[int], bad: list[int]) -> None:
    number = _MACHINES[machine][1][name]
    for value in [*good, *bad]:
        # The kernel reads only the low half of these arguments.
        for whole in (value, value | 7 << 32):
            arguments = [0] * argument + [whole]
            expected = "allow" if value in good else "EPERM"
            assert (value, answer(machine, number, *arguments)) == (value, expected)


@pytest.mark.parametrize("machine", _MACHINES)
def test_what_is_sent_goes_to_no_address(machine: str) -> None:
    for address in (1, 1 << 32, 0x7FFF00000000):
        assert answer(machine, _MACHINES[machine][1]["sendto"], 3, 0, 1, 0, address) == "EPERM"


@pytest.mark.parametrize(
    ("machine", "audit", "number"),
    [
        ("x86_64", 0x40000003, 3),  # i386: "read"
        ("x86_64", 0xC000003E, 0x40000000),  # x32: "read"
        ("x86_64", 0xC000003E, 0xFFFFFFFF),
        ("x86_64", 0xC00000B7, 0),
        ("aarch64", 0x40000028, 3),  # arm, 32 bits: "read"
        ("aarch64", 0xC000003E, 63),
    ],
)
def test_calls_by_another_abi_end_the_process(machine: str, audit: int, number: int) -> None:
    assert answer(machine, number, audit=audit) == "kill"


def test_a_machine_without_a_table_has_no_filter() -> None:
    for machine in ("riscv64", "i686", "armv7l", ""):
        assert seccomp.program(machine) is None and not seccomp.confine(machine)
