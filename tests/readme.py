#!/usr/bin/env python3
"""What the documents say holds: the commands and the output that the README shows, the table of settings, the examples, the links."""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from node import FAST, Node, until  # noqa: E402

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
CLEW = os.environ.get("CLEW", "build/release/clew")
problems = []


def read(path):
    with open(os.path.join(ROOT, path)) as file:
        return file.read()


def expect(what, good):
    if not good:
        problems.append(what)


def run(*arguments):
    done = subprocess.run([CLEW, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT, timeout=60)
    return done.returncode, done.stdout.decode()


def without_values(text):
    """Output with what changes from run to run (times, durations, ids' order) blanked."""
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+", "TIME", text)
    return [re.sub(r"\s+", " ", line).strip() for line in text.splitlines() if line.strip()]


def main():
    readme = read("README.md")
    # The two commands of the first screen.
    for command in ["./dev run", "./dev test"]:
        expect("README names " + command, command in readme)
    help_text = subprocess.run(["./dev", "help"], stdout=subprocess.PIPE, cwd=ROOT).stdout.decode()
    for name in re.findall(r"\./dev ([a-z]+)", readme + read("HACKING.md")):
        expect("./dev %s, which the documents name, exists" % name, name == "help" or re.search(r"^  %s\b" % name, help_text, re.M))
    for name in re.findall(r"(?:^|[`\s])clew ([a-z]+)", readme + read("docs/operations.md")):
        expect("clew %s, which the documents name, exists" % name, run(name, "--help")[0] == 0)

    code, table = run("config", "--reference")
    shown = read("docs/operations.md").split("<!-- settings: clew config --reference -->\n")[1].split("<!-- end of settings -->")[0]
    expect("docs/operations.md has the table of `clew config --reference`", code == 0 and shown == table)
    for example in ["examples/clew-minimal.yaml", "examples/clew-full.yaml", "packaging/container.yaml"]:
        code, text = run("config", "--verify", os.path.join(ROOT, example))
        expect("%s is good: %s" % (example, text), code == 0)
    code, text = run("config", os.path.join(ROOT, "examples/clew-full.yaml"))
    expect("examples/clew-full.yaml is what `clew config` prints", text == read("examples/clew-full.yaml").split("\n", 1)[1])
    expect("it holds the defaults", run("config")[1] == text)

    for document in ["README.md", "DESIGN.md", "HACKING.md", "docs/index.md", "docs/operations.md", "docs/verdict.md", "docs/apis.md", "examples/README.md"]:
        for link in re.findall(r"\]\(([^)#:]+)\)", read(document)):
            expect("%s links to %s" % (document, link), os.path.exists(os.path.join(ROOT, os.path.dirname(document), link)))

    # The blocks of the README that show a command of clew and its output ("$ clew ..."): run against a node with the samples.
    with Node(FAST) as node:
        for name in sorted(os.listdir(os.path.join(ROOT, "examples", "traces"))):
            code, text = run("import", "--shift", "--server", "127.0.0.1:%d" % node.otlp_port, os.path.join(ROOT, "examples", "traces", name))
            expect("import of %s: %s" % (name, text), code == 0)

        def decided():
            "every sample trace is decided"
            return not node.search("&state=open")
        until(decided, 20)
        shown_blocks = re.findall(r"^\$ clew (search|trace|verify)(.*)\n((?:(?!\$ |```).*\n)+)", readme, re.M)
        expect("README shows what one sees", len(shown_blocks) >= 2)
        for command, arguments, output in shown_blocks:
            words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", arguments)]
            server = [] if command == "verify" else ["--server", "127.0.0.1:%d" % node.http_port]
            _, got = run(command, *words, *server)
            for line in without_values(output):
                if line != "…":
                    expect("`clew %s%s` prints: %s\n--- it printed\n%s" % (command, arguments, line, got), line in without_values(got))
    for one in problems:
        print("FAILED", one)
    print("%d problems" % len(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
