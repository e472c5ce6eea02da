"""The blocks of docs/lab.md: each is what the command above it prints, but for the figures, which move with every change of a protocol. CLEW_REGENERATE=1 writes them anew. Standard library only."""
import os
import re
import shlex
import subprocess
import sys

PATH = "docs/lab.md"
CLEW = os.environ.get("CLEW", "build/release/clew")
BLOCK = re.compile(r"^\$ clew (?P<arguments>lab[^\n]*)\n```text\n(?P<output>.*?)```\n", re.MULTILINE | re.DOTALL)

with open(PATH, encoding="utf-8") as file:
    before = file.read()
different = []


def words(text):
    """What a change of some milliseconds or messages leaves as it is: rows, verdicts, reasons."""
    return re.sub(r"[\s-]+", " ", re.sub(r"\d+(\.\d+)?k?", "#", text))


def run(block):
    done = subprocess.run([CLEW, *shlex.split(block["arguments"])], stdout=subprocess.PIPE, timeout=280, check=True)
    output = done.stdout.decode()
    if words(output) != words(block["output"]):
        different.append(block["arguments"])
    return "$ clew %s\n```text\n%s```\n" % (block["arguments"], output)


after, count = BLOCK.subn(run, before)
if os.environ.get("CLEW_REGENERATE"):
    with open(PATH, "w", encoding="utf-8") as file:
        file.write(after)
elif different or count < 4:
    sys.exit("%s shows other output than: %s; read the difference, then CLEW_REGENERATE=1 tests/lab.sh" % (PATH, different))
