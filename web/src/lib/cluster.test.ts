import { describe, expect, it } from 'vitest';
import { eventsBetween, retentionOf, type Cluster, type Member } from './cluster';

const member = (id: string, more: Partial<Member> = {}): Member => ({ id, name: `n${id}`, role: 'secondary', state: 'online', acknowledged: '5', behind: '0', problem: '', version: '0.1.0', clientAddress: '', httpAddress: '', etcdUrls: [], peerUrls: [], ...more });
const cluster = (more: Partial<Cluster> = {}): Cluster => ({
  cluster: 'abc',
  self: '1',
  protocol: 'raft',
  standing: 'follower',
  leader: '2',
  epoch: '3',
  leaderView: true,
  positions: { first: '1', last: '5', committed: '5', applied: '5', durable: '5', snapshot: '0' },
  stateBytes: '0',
  quotaBytes: '0',
  members: [member('1'), member('2', { role: 'primary' }), member('3')],
  alarms: [],
  problems: [],
  ...more,
});
const told = (before: Cluster, after: Cluster) => eventsBetween(before, after).map((event) => `${event.bad ? '! ' : ''}${event.text}`);

describe('eventsBetween', () => {
  it('tells an election once, not also as two changes of role', () => {
    const after = cluster({ leader: '3', epoch: '4', members: [member('1'), member('2'), member('3', { role: 'primary' })] });
    expect(told(cluster(), after)).toEqual(['n3 leads from term 4 on']);
  });
  it('tells a leader that is lost, and a term without a change of leader', () => {
    expect(told(cluster(), cluster({ leader: '0', standing: 'candidate' }))).toEqual(['! no leader; n2 was', 'this node: follower → candidate']);
    expect(told(cluster(), cluster({ epoch: '9' }))).toEqual(['term 9, n2 leads again']);
  });
  it('tells members that come, go, change, and alarms', () => {
    const after = cluster({ members: [member('1'), member('2', { role: 'primary', state: 'offline' }), member('4', { role: 'learner' })], alarms: [{ member: '2', kind: 'NOSPACE' }] });
    expect(told(cluster(), after)).toEqual(['! n2: online → offline', 'n4 joined as learner', 'n3 left', '! alarm NOSPACE of n2']);
    expect(told(after, { ...after, alarms: [] })).toEqual(['alarm NOSPACE of n2 is over']);
  });
  it('does not take a narrower view for a change of states', () => {
    const after = cluster({ leaderView: false, members: [member('1'), member('2', { role: 'primary' }), member('3', { state: 'offline' })] });
    expect(told(cluster(), after)).toEqual([]);
    expect(told(cluster(), cluster())).toEqual([]);
  });
  it('begins anew with another node or cluster', () => {
    expect(told(cluster(), cluster({ self: '3' }))).toEqual(['another node answers: n3']);
    expect(told(cluster(), cluster({ cluster: 'x' }))).toEqual(['! another cluster answers: x']);
  });
});

describe('retention', () => {
  const yaml = (age: string, bytes: string, share: string) => `storage:\n  directory: "/x"\n  retention:\n    max_age: ${age}\n    max_bytes: ${bytes}\n    max_disk_share: ${share}\n  wal:\n    max_age: 9\n`;
  it('names the bounds that are set', () => {
    expect(retentionOf(yaml('0', '0', '0.9'))).toBe('90 % of the disk');
    expect(retentionOf(yaml('168h', '100GiB', '0.9'))).toBe('168h or 100GiB or 90 % of the disk');
    expect(retentionOf(yaml('0', '0', '1'))).toBe('no bound');
    expect(retentionOf('log:\n  level: info\n')).toBe('');
  });
});
