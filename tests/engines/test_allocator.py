"""Pages that a process keeps do not fault again."""

import platform
import subprocess
import sys

import pytest

ASK = """
import resource, sys, torch
from equipot.engines.allocator import keep_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.ones(16_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

known = sys.argv[1] == "yes" and keep_memory()
for _ in range(4):  # until it has grown to what it needs
    faults()
print(int(known), faults())
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="mallopt is glibc's")
def test_large_blocks_are_kept():
    answers = {
        word: subprocess.run([sys.executable, "-c", ASK, word], check=True, capture_output=True, text=True)
        for word in ("no", "yes")
    }
    (_, given), (known, kept) = (tuple(map(int, answers[w].stdout.split())) for w in ("no", "yes"))
    assert known
    assert given > 100 and kept < given / 10
