// The verdict: what state, on what evidence, with which findings; how it came to be; and what the hosts' clocks say.
import type { Finding, Verdict, VerdictAnswer } from '../api';
import { lateness } from '../lib/lateness';
import { visible } from '../lib/otlp';
import { count, duration, millisOf, moment, plural } from '../lib/time';
import { zone } from '../state';
import { StateBadge } from './common';

const basis: [string, string, string][] = [
  ['root', 'a root', 'a span without a parent is here'],
  ['parents', 'every parent', 'every parent that a span names is here'],
  ['acyclic', 'no cycle', 'no span is its own ancestor'],
  ['quiet', 'quiet', 'no span came for the quiet period'],
  ['client_server', 'calls answered', 'CLIENT spans have the SERVER span that their peer usually reports'],
  ['no_drops', 'no drops', 'no SDK reported that it dropped anything'],
];

const severitySigns = { loss: '◌', warning: '△', info: 'ⓘ' };
const severityWords = { loss: 'loss', warning: 'odd', info: 'note' };

export interface VerdictPanelProps {
  answer: VerdictAnswer;
  corrected: boolean;
  hasSpan: (id: string) => boolean;
  onSpan: (id: string) => void;
  onClock: (corrected: boolean) => void;
}

export function VerdictPanel({ answer, corrected, hasSpan, onSpan, onClock }: VerdictPanelProps) {
  const verdict = answer.verdict;
  if (!verdict) return <p class="quiet">No verdict yet.</p>;
  const timedOut = verdict.basis.includes('timeout');
  return (
    <div class="verdict" id="verdict">
      <div class="verdict-main">
        <p class="sentence">
          <StateBadge state={verdict.state} large />
          <span>{visible(verdict.sentence.replace(/^[a-z ]+: /, ''))}</span>
        </p>
        <ul class="basis" aria-label="What the verdict rests on">
          {basis.map(([name, text, why]) => {
            const holds = verdict.basis.includes(name);
            return (
              <li key={name} class={holds ? 'holds' : 'fails'} title={why}>
                <span aria-hidden="true">{holds ? '✓' : '✕'}</span>
                <span class="hidden">{holds ? 'holds:' : 'does not hold:'}</span> {text}
              </li>
            );
          })}
          {timedOut && (
            <li class="timeout" title="trace_timeout passed since the last span, and the trace was still not whole">
              <span aria-hidden="true">◷</span> decided by the timeout
            </li>
          )}
        </ul>
        {verdict.findings.length > 0 && (
          <ul class="findings" aria-label="Findings">
            {verdict.findings.map((finding) => (
              <FindingRow key={finding.kind} finding={finding} missing={finding.kind === 'orphan' ? verdict.missingParents : []} hasSpan={hasSpan} onSpan={onSpan} />
            ))}
          </ul>
        )}
        {verdict.state === 'complete' && verdict.findings.length === 0 && <p class="quiet">Nothing was found. A span that was lost together with all its descendants would leave no trace of itself.</p>}
      </div>
      {verdict.skew.length > 0 && (
        <section class="skew" aria-label="Clocks">
          <h3>
            Clocks
            <span class="toggle" role="group" aria-label="Times shown">
              <button type="button" class="small" aria-pressed={!corrected} onClick={() => onClock(false)}>
                raw
              </button>
              <button type="button" class="small" aria-pressed={corrected} title="t" onClick={() => onClock(true)}>
                corrected
              </button>
            </span>
          </h3>
          <table>
            <thead>
              <tr>
                <th scope="col">host</th>
                <th scope="col">against</th>
                <th scope="col" class="n">
                  is
                </th>
                <th scope="col" class="n">
                  give or take
                </th>
                <th scope="col" class="n">
                  edges
                </th>
              </tr>
            </thead>
            <tbody>
              {verdict.skew.slice(0, 100).map((skew) => {
                const offset = Number(skew.offsetNano);
                return (
                  <tr key={`${skew.host}\u0000${skew.reference}`}>
                    <td>
                      <bdi>{visible(skew.host.slice(0, 80))}</bdi>
                    </td>
                    <td>
                      <bdi>{visible(skew.reference.slice(0, 80))}</bdi>
                    </td>
                    <td class="n">
                      {duration(Math.abs(offset))} {offset > 0 ? 'behind' : 'ahead'}
                    </td>
                    <td class="n">{duration(Number(skew.boundNano))}</td>
                    <td class="n">{count(skew.edges)}</td>
                  </tr>
                );
              })}
            </tbody>
          </table>
          <p class="quiet">A child cannot start before its parent, nor end after it: each edge between two hosts bounds the offset. Raw times are never changed.</p>
        </section>
      )}
      <section class="history" aria-label="History">
        <h3>History</h3>
        {answer.history.length > 1 && <Lateness answer={answer} />}
        <ol>
          {answer.history.map((one, index) => (
            <HistoryRow key={one.version} one={one} before={answer.history[index - 1]} />
          ))}
        </ol>
      </section>
    </div>
  );
}

// The verdicts on a line of time, logarithmic because late spans come seconds or days after the others.
function Lateness({ answer }: { answer: VerdictAnswer }) {
  const marks = lateness(answer.summary.startTimeUnixNano, answer.history);
  const most = Math.max(1, ...marks.map((mark) => mark.late));
  const last = marks[marks.length - 1];
  const late = marks.reduce((sum, mark) => sum + mark.late, 0);
  return (
    <div class="lateness" role="img" aria-label={`${plural(marks.length, 'verdict')} within ${duration(last.afterMs * 1e6)} of the trace's start; ${plural(late, 'late span')}`}>
      {marks.map((mark, index) => (
        <span key={index} class={`state-${answer.history[index].state}`} style={{ left: `${mark.share * 100}%` }} title={`after ${duration(mark.afterMs * 1e6)}: ${plural(mark.spans, 'span')}${mark.late ? `, ${mark.late} of them late` : ''}`}>
          {mark.late > 0 && <i style={{ height: `${6 + (18 * mark.late) / most}px` }} />}
        </span>
      ))}
      <small>start</small>
      <small>+ {duration(last.afterMs * 1e6)}</small>
    </div>
  );
}

function HistoryRow({ one, before }: { one: Verdict; before?: Verdict }) {
  const at = millisOf(one.decidedUnixNano);
  return (
    <li>
      <StateBadge state={one.state} />
      <span>
        {plural(one.spans, 'span')}
        {one.lateSpans > 0 && <b> · {plural(one.lateSpans, 'late span')}</b>}
      </span>
      <span class="quiet">
        {before ? `${duration((at - millisOf(before.decidedUnixNano)) * 1e6)} later` : moment(at, zone.value)} · version {one.version}
      </span>
    </li>
  );
}

function FindingRow({ finding, missing, hasSpan, onSpan }: { finding: Finding; missing: string[]; hasSpan: (id: string) => boolean; onSpan: (id: string) => void }) {
  const button = (id: string, text: string) =>
    hasSpan(id) ? (
      <button key={id} type="button" class="link code" onClick={() => onSpan(id)}>
        {text}
      </button>
    ) : (
      <code key={id}>{text}</code>
    );
  return (
    <li class={`finding ${finding.severity}`}>
      <span class="severity">
        <span aria-hidden="true">{severitySigns[finding.severity]}</span> {severityWords[finding.severity]}
      </span>
      <span>
        {visible(finding.detail)}
        {(finding.spans.length > 0 || missing.length > 0) && (
          <span class="spans">
            {missing.length > 0 && (
              <>
                <span>absent:</span> {missing.slice(0, 8).map((id) => button(id, id))}
                {missing.length > 8 && <span>and {count(missing.length - 8)} more</span>}
              </>
            )}
            {finding.spans.length > 0 && (
              <>
                <span>spans:</span> {finding.spans.slice(0, 8).map((id) => button(id, id.replace(/^0+(?=.{8})/, '').slice(0, 8)))}
              </>
            )}
            {finding.count > Math.min(8, finding.spans.length) && finding.spans.length > 0 && ` of ${count(finding.count)}`}
          </span>
        )}
      </span>
    </li>
  );
}
