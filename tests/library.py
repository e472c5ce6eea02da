"""Drives examples/counter: three processes count together, also when their leader is killed and comes back. The second program (the
same, built another way) takes the killed one's place."""
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, sys.path[0])
from node import claimed_ports, until  # noqa: E402


class Counter:
    def __init__(self, program, number, directory, members):
        self.process = subprocess.Popen([program, str(number), directory, members], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def kill(self):
        self.process.kill()
        self.process.wait()


def answered(line):
    return None if line.startswith("error") else line


def add(nodes, amount):
    """By whichever node leads: the new value, and that node. A command that was refused had no effect."""
    def attempt():
        "an addition"
        for node in nodes:
            got = node.ask("add %d" % amount)
            if not got.startswith("error"):
                return int(got), node
        return None
    return until(attempt)


def main():
    programs = sys.argv[1:3]
    directory = tempfile.mkdtemp(prefix="clew-counter-")
    members = ",".join("%d=127.0.0.1:%d" % (i + 1, port) for i, port in enumerate(claimed_ports(3)))
    start = lambda program, i: Counter(program, i + 1, "%s/%d" % (directory, i + 1), members)  # noqa: E731
    nodes = [start(programs[0], i) for i in range(3)]
    try:
        assert add(nodes, 5)[0] == 5
        value, leader = add(nodes, 7)
        assert value == 12, value
        for node in nodes:  # linearizable reads, on every node
            assert until(lambda n=node: answered(n.ask("get"))) == "12"
        leader.kill()
        rest = [node for node in nodes if node is not leader]
        value, _ = add(rest, 30)
        assert value == 42, value
        back = start(programs[1], nodes.index(leader))
        nodes[nodes.index(leader)] = back
        assert until(lambda: answered(back.ask("get"))) == "42"
        print("counted to 42 over three processes, one of them killed and started again")
    finally:
        for node in nodes:
            if node.process.poll() is None:
                node.kill()
        shutil.rmtree(directory, ignore_errors=True)


main()
