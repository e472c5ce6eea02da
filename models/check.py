#!/usr/bin/env python3
"""./dev models: checks the models of this folder with spin, each within the bounds that it states.

The head of each model names its checks:
    check: NAME  (WORDS)  holds|breaks  [quick]  DEFINES -DX=1 ...  [LTL FORMULA]
`holds`: the search must be exhausted without an error. `breaks`: a planted mistake, or something that must be possible;
the search must find it. With LTL the formula is checked under weak fairness; without, assertions and (where a model has
no end labels) deadlock. A search that is cut short has shown nothing and fails.
"""
import argparse, concurrent.futures, glob, json, os, re, shutil, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
LINE = re.compile(r"check: (?P<name>[\w-]+)\s+(?:\((?P<words>.*?)\)\s+)?(?P<expect>holds|breaks)\s+(?P<quick>quick)?\s*DEFINES(?P<defines>(?: -D\S+)*)(?: LTL (?P<ltl>\w+))?\s*$")
MEMORY_MB = 8192
DEPTH = 5_000_000


def checks_of(path):
    found = []
    with open(path, encoding="utf-8") as file:
        for line in file:
            if "check:" not in line:
                continue
            match = LINE.search(line.rstrip().rstrip("*/").rstrip())
            if match is None:
                sys.exit("%s: not a check: %s" % (path, line.strip()))
            found.append({"model": os.path.basename(path)[:-4], "path": path, "name": match["name"], "words": match["words"] or "", "expect": match["expect"],
                          "quick": bool(match["quick"]), "defines": match["defines"].split(), "ltl": match["ltl"]})
    return found


def number(text, pattern):
    match = re.search(pattern, text, re.M)
    return float(match.group(1)) if match else None


def run(check, keep=None):
    """Adds to the check: ok, states, seconds, says."""
    directory = tempfile.mkdtemp(prefix="clew-model-")
    began = time.monotonic()
    try:
        name = os.path.basename(check["path"])
        shutil.copy(check["path"], directory)
        spin = subprocess.run(["spin", "-a"] + check["defines"] + [name], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if spin.returncode != 0 or "Error" in spin.stdout:
            return dict(check, ok=False, states=0, seconds=0.0, says="spin: " + spin.stdout.strip().splitlines()[0])
        options = ["-DNFAIR=3"] if check["ltl"] else ["-DSAFETY"]
        compiler = subprocess.run(["gcc", "-O1" if check["quick"] else "-O2", "-w", "-DCOLLAPSE", "-DMEMLIM=%d" % MEMORY_MB] + options + ["-o", "pan", "pan.c"], cwd=directory, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True)
        if compiler.returncode != 0:
            return dict(check, ok=False, states=0, seconds=0.0, says="gcc: " + compiler.stdout.strip()[:200])
        command = ["./pan", "-m%d" % DEPTH, "-w22"] + (["-a", "-f", "-N", check["ltl"]] if check["ltl"] else [])
        output = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        if keep and os.path.exists(os.path.join(directory, name + ".trail")):
            trail = subprocess.run(["spin", "-t", "-p", "-g"] + check["defines"] + [name], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            print(trail)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    errors, states = number(output, r"errors: (\d+)"), number(output, r"([\d.e+]+) states, stored")
    found = re.search(r"^pan:\d+: (.*?)(?: \(at depth.*)?$", output, re.M)
    says = found.group(1) if found else ""
    cut = "max search depth too small" in output or "out of memory" in output or "memory limit" in output or "Search not completed" in output
    if errors is None or states is None:
        ok, says = False, "pan ended early: " + (output.strip().splitlines() or ["no output"])[-1]
    elif check["expect"] == "holds":
        ok = errors == 0 and not cut
        if errors == 0 and cut:
            says = "the search was cut short"
    else:
        ok = errors > 0
        if not ok:
            says = "the planted mistake was not found"
    if len(says) > 90:
        says = says[:87] + "..."
    return dict(check, ok=ok, states=int(states or 0), seconds=time.monotonic() - began, says=says)


def main():
    parser = argparse.ArgumentParser(prog="./dev models", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL[/CHECK]", help="raft, paxos/safety, ... (default: all)")
    parser.add_argument("--quick", action="store_true", help="only what takes seconds")
    parser.add_argument("--list", action="store_true", help="name the checks and stop")
    parser.add_argument("--trail", action="store_true", help="print the steps to each error found, as spin tells them")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="checks at a time")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    checks = [one for path in sorted(glob.glob(os.path.join(HERE, "*.pml"))) for one in checks_of(path)]
    if options.models:
        known = {one["model"] for one in checks} | {one["model"] + "/" + one["name"] for one in checks}
        if unknown := [word for word in options.models if word not in known]:
            parser.error("no such model or check: %s; --list names them" % ", ".join(unknown))
        checks = [one for one in checks if one["model"] in options.models or one["model"] + "/" + one["name"] in options.models]
    if options.quick:
        checks = [one for one in checks if one["quick"]]
    if options.list:
        for one in checks:
            print("%-12s %-26s %-7s %s" % (one["model"], one["name"], one["expect"], one["words"]))
        return 0
    done, shown = [], sys.stderr.isatty()
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for one in pool.map(lambda check: run(check, options.trail), checks):
            done.append(one)
            if shown:
                print("\r%d of %d checks" % (len(done), len(checks)), end="", file=sys.stderr, flush=True)
            if not options.json:
                print("%s%-5s %-12s %-26s %-7s %12s states %8.1f s  %s" % ("\r\033[K" if shown else "", "ok" if one["ok"] else "WRONG", one["model"], one["name"], one["expect"],
                                                                        f"{one['states']:,}", one["seconds"], one["says"]), flush=True)
    failed = [one for one in done if not one["ok"]]
    if options.json:
        print(json.dumps([{key: value for key, value in one.items() if key != "path"} for one in done], indent=1))
    else:
        print("%d checks as stated, %d not" % (len(done) - len(failed), len(failed)))
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
