"""Faults of a group of real members, the same for a bare Raft group (raft_faults.py) and for whole nodes (cluster_faults.py).

A world has nodes, leader(among=None), followers(), progress(n): so many operations are answered from now on, refusals(n), and proxies between the members.
A node has id, kill(), start() and signal(number). Each fault ends healed, and with progress."""
import signal

from peer_proxy import BREAK, STALL, between


def ids(nodes):
    return [node.id for node in nodes]


def others(world, gone):
    return [node for node in world.nodes if node not in gone]


def minority(world):
    """The leader and as many followers as the group can spare beside it."""
    return ([world.leader()] + world.followers())[:(len(world.nodes) - 1) // 2]


def kill_leader(world):
    leader = world.leader()
    leader.kill()
    world.progress()
    leader.start()
    world.progress(20)


def kill_followers(world):
    gone = world.followers()[:(len(world.nodes) - 1) // 2]
    for node in gone:
        node.kill()
    world.progress()
    for node in gone:
        node.start()
    world.progress(20)


def kill_minority(world):
    """The leader among them."""
    gone = minority(world)
    for node in gone:
        node.kill()
    world.progress()
    for node in gone:
        node.start()
    world.progress(20)


def kill_all(world):
    for node in world.nodes:
        node.kill()
    world.refusals(5)
    for node in world.nodes:
        node.start()
    world.progress()


def pause_leader(world):
    """Longer than its lease: another one leads before it wakes up."""
    leader = world.leader()
    leader.signal(signal.SIGSTOP)
    world.leader(others(world, [leader]))
    world.progress()
    leader.signal(signal.SIGCONT)
    world.progress(20)


def pause_majority(world):
    paused = world.followers()[:len(world.nodes) // 2 + 1]
    for node in paused:
        node.signal(signal.SIGSTOP)
    world.refusals(8)
    for node in paused:
        node.signal(signal.SIGCONT)
    world.progress()


def full_partition(world, mode):
    """The leader's side is the smaller one."""
    lost = minority(world)
    rest = others(world, lost)
    world.proxies.set(between(ids(lost), ids(rest)), mode)
    world.leader(rest)
    world.progress()
    world.proxies.heal()
    world.progress(20)


def stalled_partition(world):
    full_partition(world, STALL)


def broken_partition(world):
    full_partition(world, BREAK)


def one_way_partition(world, deaf):
    """Deaf or mute, nobody leads."""
    leader = world.leader()
    rest = others(world, [leader])
    world.proxies.set([(node.id, leader.id) if deaf else (leader.id, node.id) for node in rest], STALL)
    world.leader(rest)
    world.progress()
    world.proxies.heal()
    world.progress(20)


def mute_leader(world):
    one_way_partition(world, False)


def deaf_leader(world):
    one_way_partition(world, True)


def partial_partition(world, mode=STALL):
    """The leader and one follower do not reach each other; a third one reaches both."""
    leader, other = world.leader(), world.followers()[0]
    world.proxies.set(between([leader.id], [other.id]), mode)
    world.progress()
    world.proxies.heal()
    world.progress(20)


def bridge(world):
    """Of five, only the leader sees both halves of the others."""
    cut = ids(others(world, [world.leader()]))
    world.proxies.set(between(cut[:len(cut) // 2], cut[len(cut) // 2:]), BREAK)
    world.progress()
    world.proxies.heal()
    world.progress(20)
