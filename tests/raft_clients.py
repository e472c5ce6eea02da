"""Clients of a real Raft group whose questions and answers are recorded as a history (docs/format/history.md)."""
import json
import queue
import random
import subprocess
import threading
import time

from raft_group import Member

PATIENCE = 1.5  # a client asks again after so many seconds without an answer
ATTEMPTS_FOR = 10  # and gives an operation up after so many


class History:
    """The order of the lines is the clock: each is one write under a lock."""

    def __init__(self, path):
        self.path, self.lock, self.file = path, threading.Lock(), open(path, "w", buffering=1)
        self.write({"clew_history": 1, "workload": "list"})

    def write(self, event):
        line = json.dumps(event) + "\n"
        with self.lock:
            if not self.file.closed:
                self.file.write(line)

    def close(self):
        with self.lock:
            self.file.close()


class Driven(Member):
    """A member that answers several clients at once, and writes down what it executes."""

    def __init__(self, program, node_id, members, directory, flags, history):
        super().__init__(program, node_id, members, directory, flags)
        self.history, self.answers, self.last_tag, self.lock = history, {}, 0, threading.Lock()
        self.running = False

    def start(self, bootstrap=None):
        super().start(bootstrap)
        self.running = True
        return self

    def read(self, process):
        for line in process.stdout:
            try:
                event = json.loads(line)
            except ValueError:
                return  # killed within a line
            if event["event"] == "answer":
                waiting = self.answers.get(event["tag"])
                if waiting is not None:
                    waiting.put(event)
            elif event["event"] == "applied":
                at = {"node": self.id, "position": event["position"]}
                self.history.write({"event": "applied", **at, "session": event["session"], "sequence": event["sequence"]})
                self.history.write({"event": "digest", **at, "digest": event["digest"]})
            else:
                self.events.put(event)

    def tell(self, line):
        with self.lock:
            super().tell(line)

    def call(self, verb, arguments, timeout=PATIENCE):
        """The answer; None when there is none in time, or the process died: nobody knows then."""
        with self.lock:
            self.last_tag += 1
            tag = self.last_tag
        waiting = self.answers[tag] = queue.Queue()
        try:
            self.tell("%s %d %s" % (verb, tag, arguments))
            return waiting.get(timeout=timeout)
        except (queue.Empty, OSError, ValueError):
            return None
        finally:
            del self.answers[tag]

    def kill(self):
        self.running = False
        self.stop()

    def signal(self, number):
        self.process.send_signal(number)


class Client:
    """One process of the history: one request at a time, a session of its own, each command repeated until it is answered."""

    def __init__(self, load, number):
        self.load, self.number, self.random = load, number, random.Random(number)
        self.session, self.sequence, self.seen, self.leader, self.appended = None, 0, 0, 0, 0

    def write(self, **event):
        self.load.history.write({k: v for k, v in event.items() if v is not None})

    def member(self):
        members = [one for one in self.load.members if one.running] or self.load.members
        named = [one for one in members if one.id == self.leader]
        return named[0] if named and self.random.random() < 0.9 else self.random.choice(members)

    def ask(self, verb, arguments, member=None, once=False):
        """(answer or None, whether every try certainly had no effect)"""
        certain, until = True, time.monotonic() + ATTEMPTS_FOR
        while True:
            at = member or self.member()
            answer = at.call(verb, arguments)
            if answer is not None and answer["outcome"] == "ok":
                if verb != "get":
                    self.leader = at.id
                return answer, certain
            if answer is None or answer["outcome"] == "unknown":
                certain, self.leader = False, 0
            else:
                self.leader = answer["leader"] if answer["leader"] != at.id else 0
                if answer["code"] == "FAILED_PRECONDITION":
                    self.session = None
                    return None, certain
            self.load.count("refused")
            if once or self.load.ended.is_set() or time.monotonic() > until:
                return None, certain
            self.load.ended.wait(0.005)  # not to ask a group without a leader as fast as it can refuse

    def open(self):
        answer, _ = self.ask("open", "")
        if answer is not None:
            self.session, self.sequence = answer["session"], 0
        return answer is not None

    def append(self, key):
        if self.session is None and not self.open():
            return False
        self.sequence, self.appended = self.sequence + 1, self.appended + 1
        value, session = "%d.%d" % (self.number, self.appended), self.session
        self.write(event="invoke", process=self.number, kind="append", key=key, value=value, session=session, sequence=self.sequence)
        answer, certain = self.ask("append", "%d %d %s %s" % (session, self.sequence, key, value))
        if answer is None:
            self.write(event="return", process=self.number, outcome="fail" if certain else "unknown")
            return False
        self.write(event="return", process=self.number, outcome="ok", position=answer["position"])
        self.seen = max(self.seen, answer["position"])
        self.load.count("appended")
        return True

    def get(self, key, level="quorum", final=False):
        if self.session is None and not self.open():
            return None
        self.write(event="invoke", process=self.number, kind="read", key=key, session=self.session,
                   level="sequential" if level == "local" else None, final=True if final else None)
        answer, certain = self.ask("get", "%s %d %s" % (level, self.seen, key), once=not final)
        if answer is None:
            self.write(event="return", process=self.number, outcome="fail" if certain else "unknown")
            return None
        self.write(event="return", process=self.number, outcome="ok", values=answer["values"], position=answer["position"])
        self.seen = max(self.seen, answer["position"])
        self.load.count("read")
        return answer["values"]

    def run(self):
        while not self.load.ended.is_set():
            key = self.load.some_key(self.random)
            if self.random.random() < 0.55:
                self.append(key)
            else:
                self.get(key, self.random.choice(self.load.levels))


class Load:
    """Clients at work until end(). `members` may be changed meanwhile."""

    def __init__(self, members, history, clients=5, levels=("quorum", "quorum", "local")):
        self.members, self.history, self.levels = list(members), history, levels
        self.ended, self.changed, self.counts, self.keys = threading.Event(), threading.Condition(), {}, set()
        self.clients = [Client(self, number + 1) for number in range(clients)]
        self.threads = [threading.Thread(target=client.run, daemon=True) for client in self.clients]
        for thread in self.threads:
            thread.start()

    def count(self, what):
        with self.changed:
            self.counts[what] = self.counts.get(what, 0) + 1
            self.changed.notify_all()

    def some_key(self, chance):
        """Three keys at a time, of about 20 elements each: long lists make long histories."""
        key = "k%d" % (self.counts.get("appended", 0) // 60 * 3 + chance.randrange(3))
        with self.changed:
            self.keys.add(key)
        return key

    def wait(self, what, more, timeout=90):
        """Until `what` has happened `more` times from now on."""
        with self.changed:
            wanted = self.counts.get(what, 0) + more
            if not self.changed.wait_for(lambda: self.counts.get(what, 0) >= wanted, timeout):
                raise RuntimeError("no %d x %s in %d s: %s" % (more, what, timeout, self.counts))

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join(60)
        if any(thread.is_alive() for thread in self.threads):
            raise RuntimeError("a client does not end")


def check(clew, history):
    """`clew check-history`: undecided is a failure, too."""
    done = subprocess.run([clew, "check-history", history.path], capture_output=True, text=True, timeout=240, check=False)
    if done.returncode != 0:
        raise RuntimeError("check-history: exit code %d\n%s%s" % (done.returncode, done.stdout[-4000:], done.stderr[-4000:]))
