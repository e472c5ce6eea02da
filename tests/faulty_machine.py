"""Faults of one process's machine that a test turns on and off while the process runs: a slow disk, a wrong clock (tests/faulty_machine.cc). Standard library only."""
import os
import struct

LIBRARY = os.environ.get("FAULTY_MACHINE_LIBRARY", "build/release/tests/libfaulty_machine.so")


class Machine:
    """environment: what the process is started with. The file must outlive the process."""

    def __init__(self, path):
        self.path, self.shift_s, self.delay_ms = path, 0, 0
        self.write()
        self.environment = {"LD_PRELOAD": os.path.abspath(LIBRARY), "FAULTY_MACHINE": path}

    def write(self):
        # In place, as a whole: the process has it mapped.
        with open(self.path, "r+b" if os.path.exists(self.path) else "w+b", buffering=0) as file:
            file.write(struct.pack("<qq", int(self.shift_s * 1e9), int(self.delay_ms * 1e6)))

    def set_clock(self, shift_s):
        """From now on Unix time is so many seconds off."""
        self.shift_s = shift_s
        self.write()

    def slow_disk(self, delay_ms):
        """From now on every sync takes so much longer."""
        self.delay_ms = delay_ms
        self.write()
