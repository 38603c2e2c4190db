"""This computer -> its processor, the instructions that speed networks up, cores and memory."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

_X86 = {
    "AVX2": ("avx2",),
    "AVX-512": ("avx512f",),
    "VNNI": ("avx512_vnni", "avx_vnni"),
    "AMX": ("amx_int8",),
}
_ARM = {"dot products": ("asimddp", "FEAT_DotProd"), "int8 matrices": ("i8mm", "FEAT_I8MM"), "SVE": ("sve",)}
"""What speeds networks up -> the names by which systems list it."""
CPUINFO = Path("/proc/cpuinfo")
MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")


@dataclass(frozen=True, slots=True)
class Machine:
    """What is known of the computer.

    Attributes:
        system: Operating system and architecture.
        processor: Its name, empty where not known.
        features: Instruction set that speeds networks up -> whether it is present; empty if the system does not say.
        cores: Cores that this process may use.
        memory_mb: Memory that this process may use, None where not known.
    """

    system: str
    processor: str
    features: dict[str, bool]
    cores: int
    memory_mb: int | None


def read_machine(cpuinfo: Path = CPUINFO, memory_limit: Path = MEMORY_LIMIT) -> Machine:
    """Returns the facts that the system reports.

    Args:
        cpuinfo: File in which Linux describes the processor; other systems lack it.
        memory_limit: File with the bytes that this container may use, or "max".
    """
    architecture = platform.machine()
    facts = _processor_facts(cpuinfo)
    named = re.search(r"^(?:model name|Model|machdep\.cpu\.brand_string)\s*:\s*(.+)$", facts, re.MULTILINE)
    known = _ARM if architecture.lower() in ("arm64", "aarch64") else _X86
    words = set(re.findall(r"[\w.]+", facts))
    # sysctl lists what is missing too, as 0.
    words -= set(re.findall(r"hw\.optional\.arm\.(\w+): 0", facts))
    words |= set(re.findall(r"hw\.optional\.arm\.(\w+): 1", facts))
    features = {name: any(flag in words for flag in flags) for name, flags in known.items()} if facts else {}
    return Machine(
        system=f"{platform.system()} {platform.release()}, {architecture}",
        processor=named[1].strip() if named else platform.processor(),
        features=features,
        cores=core_count(),
        memory_mb=_memory_mb(memory_limit),
    )


def core_count() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor_facts(cpuinfo: Path) -> str:
    """Returns what the system lists about its processor, empty where it lists nothing."""
    try:
        if cpuinfo.exists():
            return cpuinfo.read_text(encoding="utf-8", errors="replace")
        if platform.system() == "Darwin":
            names = ["machdep.cpu", "hw.optional"]
            done = subprocess.run(["/usr/sbin/sysctl", *names], capture_output=True, text=True, check=False)
            return done.stdout.lower() if platform.machine() == "x86_64" else done.stdout
    except OSError:
        return ""
    return ""


def _memory_mb(memory_limit: Path) -> int | None:
    """Returns the memory of the computer, or of the container around this process where that has less."""
    found: list[int] = []
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    try:
        limit = memory_limit.read_text(encoding="ascii").strip()
        found += [int(limit)] if limit.isdecimal() else []
    except OSError:
        pass
    return min(found) >> 20 if found else None
