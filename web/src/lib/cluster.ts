// The control group as the node tells it (docs/apis.md), and what happened between two of its answers.
export interface Member {
  id: string;
  name: string;
  role: string; // primary, secondary, witness, learner
  state: string; // online, syncing, offline, error
  acknowledged: string;
  behind: string;
  problem: string;
  version: string;
  clientAddress: string;
  httpAddress: string;
  etcdUrls: string[];
  peerUrls: string[];
}
export interface Cluster {
  cluster: string;
  self: string;
  protocol: string;
  standing: string;
  leader: string; // "0": none
  epoch: string;
  leaderView: boolean;
  positions: { first: string; last: string; committed: string; applied: string; durable: string; snapshot: string };
  stateBytes: string;
  quotaBytes: string;
  members: Member[];
  alarms: { member: string; kind: string }[];
  problems: string[];
}

export interface Event {
  text: string;
  bad: boolean;
}

export function nameOf(cluster: Cluster, id: string): string {
  return cluster.members.find((member) => member.id === id)?.name || `node ${id}`;
}

// Oldest first. A follower sees less of the others than the leader: states are compared within one kind of view only.
export function eventsBetween(before: Cluster, after: Cluster): Event[] {
  const events: Event[] = [];
  const tell = (text: string, bad = false) => events.push({ text, bad });
  if (before.cluster && before.cluster !== after.cluster) {
    tell(`another cluster answers: ${after.cluster}`, true);
    return events;
  }
  if (before.self !== after.self) {
    tell(`another node answers: ${nameOf(after, after.self)}`);
    return events;
  }
  if (before.leader !== after.leader) {
    if (after.leader === '0') tell(`no leader; ${nameOf(before, before.leader)} was`, true);
    else tell(`${nameOf(after, after.leader)} leads from term ${after.epoch} on`);
  } else if (before.epoch !== after.epoch) {
    tell(`term ${after.epoch}${after.leader === '0' ? ', no leader yet' : `, ${nameOf(after, after.leader)} leads again`}`);
  }
  if (before.standing !== after.standing) tell(`this node: ${before.standing} → ${after.standing}`);
  const known = new Map(before.members.map((member) => [member.id, member]));
  for (const member of after.members) {
    const was = known.get(member.id);
    known.delete(member.id);
    const name = member.name || `node ${member.id}`;
    if (!was) tell(`${name} joined as ${member.role}`);
    else {
      // Who leads is told above.
      const led = (role: string) => (role === 'primary' ? 'secondary' : role);
      if (led(was.role) !== led(member.role)) tell(`${name}: ${was.role} → ${member.role}`);
      if (was.state !== member.state && before.leaderView === after.leaderView) tell(`${name}: ${was.state} → ${member.state}`, member.state === 'offline' || member.state === 'error');
    }
  }
  for (const gone of known.values()) tell(`${gone.name || `node ${gone.id}`} left`);
  const alarmsBefore = new Set(before.alarms.map((alarm) => `${alarm.kind} ${alarm.member}`));
  const alarmsAfter = new Set(after.alarms.map((alarm) => `${alarm.kind} ${alarm.member}`));
  for (const alarm of after.alarms) if (!alarmsBefore.has(`${alarm.kind} ${alarm.member}`)) tell(`alarm ${alarm.kind} of ${nameOf(after, alarm.member)}`, true);
  for (const alarm of before.alarms) if (!alarmsAfter.has(`${alarm.kind} ${alarm.member}`)) tell(`alarm ${alarm.kind} of ${nameOf(before, alarm.member)} is over`);
  return events;
}

// How long spans are kept, of the configuration in force as the node writes it; '' when it does not say.
export function retentionOf(yaml: string): string {
  const block = /^ {2}retention:\n((?: {4}.*\n?)*)/m.exec(yaml)?.[1];
  if (block === undefined) return '';
  const value = (name: string) => new RegExp(`^ {4}${name}: (.*)$`, 'm').exec(block)?.[1] ?? '0';
  const share = Number(value('max_disk_share'));
  const bounds = [value('max_age'), value('max_bytes'), share > 0 && share < 1 ? `${Math.round(share * 100)} % of the disk` : '0'];
  return bounds.filter((bound) => bound !== '0').join(' or ') || 'no bound';
}
