// The control group: who is in it, how far each is, and what happened since this page was opened.
import { signal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { api } from '../api';
import { useLoad } from '../hooks';
import { eventsBetween, nameOf, type Cluster, type Event } from '../lib/cluster';
import { visible } from '../lib/otlp';
import { bytes, count, moment } from '../lib/time';
import { zone } from '../state';
import { Problem } from './common';

const mostEvents = 200;
// Kept while other pages are looked at.
const timeline = signal<(Event & { at: number })[]>([]);
let last: Cluster | undefined;

const signs: Record<string, [string, string]> = {
  online: ['●', 'state-complete'],
  syncing: ['◔', 'state-collecting'],
  offline: ['◌', 'state-timed_out'],
  error: ['✕', 'state-timed_out'],
};

export function Group() {
  const found = useLoad('cluster', (abort) => api.cluster(abort), 2000);
  const seen = useRef<Cluster>();
  useEffect(() => {
    const next = found.data;
    if (!next || next === seen.current) return;
    seen.current = next;
    const events = last ? eventsBetween(last, next) : [{ text: next.leader === '0' ? 'no leader' : `${nameOf(next, next.leader)} leads, term ${next.epoch}`, bad: next.leader === '0' }];
    last = next;
    if (events.length) timeline.value = [...events.map((event) => ({ ...event, at: Date.now() })).reverse(), ...timeline.value].slice(0, mostEvents);
  }, [found.data]);
  const group = found.data;
  if (!group) return found.error && found.error.status !== 404 && found.error.status !== 0 ? <Problem error={found.error} again={found.again} /> : null;
  const { positions } = group;
  const state = Number(group.stateBytes);
  const quota = Number(group.quotaBytes);
  return (
    <section class={`group${found.error ? ' stale' : ''}`} aria-label="Control group">
      <h2>
        Control group <span class="quiet">{group.protocol} {group.cluster && ` · cluster ${group.cluster}`}</span>
      </h2>
      {group.problems.length > 0 && (
        <ul class="group-problems" role="alert">
          {group.problems.slice(0, 20).map((problem) => (
            <li key={problem}>
              <span aria-hidden="true">△</span> {visible(problem)}
            </li>
          ))}
        </ul>
      )}
      {group.alarms.map((alarm) => (
        <p key={`${alarm.kind}${alarm.member}`} class="bad">
          ▲ {alarm.kind}: {nameOf(group, alarm.member)}
        </p>
      ))}
      <div class="group-parts">
        <div class="table-box">
          <table class="sortable members" aria-label="Members">
            <thead>
              <tr>
                {['node', 'state', 'role', 'at', 'behind', 'version', 'page'].map((name) => (
                  <th key={name} scope="col" class={name === 'at' || name === 'behind' ? 'n' : ''}>
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {group.members.map((member) => {
                const [sign, colour] = signs[member.state] ?? ['?', ''];
                return (
                  <tr key={member.id}>
                    <td>
                      <b>
                        <bdi>{visible(member.name.slice(0, 80)) || `node ${member.id}`}</bdi>
                      </b>{' '}
                      <span class="quiet">
                        {member.id}
                        {member.id === group.self && ' · this node'}
                      </span>
                      {member.problem && <div class="bad">{visible(member.problem)}</div>}
                    </td>
                    <td>
                      <span class={`state ${colour}`}>
                        <span aria-hidden="true">{sign}</span> {member.state}
                      </span>
                    </td>
                    <td>{member.role === 'primary' ? <b>★ primary</b> : member.role}</td>
                    <td class="n">{group.leaderView || member.id === group.self ? count(Number(member.acknowledged)) : '–'}</td>
                    <td class="n">{group.leaderView ? count(Number(member.behind)) : '–'}</td>
                    <td>{visible(member.version)}</td>
                    <td>
                      <code>{visible(member.httpAddress)}</code>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          {!group.leaderView && <p class="quiet">As this node sees it by itself: the leader did not answer.</p>}
          <p class="quiet positions">
            This node is {group.standing}, term {group.epoch}. Log {count(Number(positions.first))} to {count(Number(positions.last))}: durable to {count(Number(positions.durable))}, committed to {count(Number(positions.committed))}, applied to {count(Number(positions.applied))}, snapshot at{' '}
            {count(Number(positions.snapshot))}. State {bytes(state)}
            {quota > 0 && ` of ${bytes(quota)}`}.
          </p>
        </div>
        <div class="timeline">
          <h3>Since this page was opened</h3>
          <ol aria-live="polite">
            {timeline.value.slice(0, 60).map((event, index) => (
              <li key={`${event.at}-${timeline.value.length - index}`} class={event.bad ? 'bad' : ''}>
                <time class="quiet">{moment(event.at, zone.value, false).slice(11)}</time> {event.bad && <span aria-hidden="true">▲ </span>}
                {visible(event.text)}
              </li>
            ))}
          </ol>
        </div>
      </div>
    </section>
  );
}
