// Everything that one span says.
import { useState } from 'preact/hooks';
import { selfTime } from '../lib/analysis';
import { kindNames, statusNames, valueText, valueType, visible, type KeyValue } from '../lib/otlp';
import { addNanos, count, duration, millisOf, moment } from '../lib/time';
import { formatCondition } from '../lib/filter';
import { formatRoute } from '../lib/route';
import { CYCLE, DUPLICATE, GHOST, NEGATIVE, ORPHAN, childrenOf, type Times, type Tree } from '../lib/tree';
import { zone } from '../state';
import { CopyButton, Service } from './common';

const shownAtFirst = 1200; // characters of one value
const shownAtMost = 100_000;

export function Value({ text }: { text: string }) {
  const [all, setAll] = useState(false);
  const part = text.slice(0, all ? shownAtMost : shownAtFirst);
  return (
    <>
      <bdi class="value">{visible(part)}</bdi>
      {text.length > part.length && (
        <span class="cut">
          … {count(text.length)} characters{' '}
          {!all && (
            <button type="button" class="small" onClick={() => setAll(true)}>
              show {text.length > shownAtMost ? `the first ${count(shownAtMost)}` : 'all'}
            </button>
          )}{' '}
          <CopyButton text={text} what="the value">
            copy
          </CopyButton>
        </span>
      )}
    </>
  );
}

export function Attributes({ list, searchAs }: { list: KeyValue[] | undefined; searchAs?: '' | 'resource.' }) {
  if (!list?.length) return null;
  return (
    <table class="attributes">
      <tbody>
        {list.map(({ key, value }, index) => {
          const type = valueType(value);
          const text = valueText(value);
          const searchable = searchAs !== undefined && text.length < 300 && ['string', 'int', 'double', 'bool'].includes(type);
          return (
            <tr key={`${index}-${key}`}>
              <th scope="row">
                <bdi>{visible(key.slice(0, 300))}</bdi>
              </th>
              <td class={`type-${type}`} title={type}>
                <Value text={text} />
                {searchable && (
                  <a
                    class="find"
                    title="Search traces with this value"
                    aria-label={`Search traces with ${key} = ${text}`}
                    href={formatRoute('search', '', { f: formatCondition({ key: `${searchAs}${key}`, op: '=', value: text, quoted: type === 'string' }) })}
                  >
                    ⌕
                  </a>
                )}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

// What says where a span was made, of the resource's attributes: the process, what it runs on, and its SDK.
const ofProcess = /^(process|host|os|container|telemetry)\./;

export interface DetailsProps {
  tree: Tree;
  times: Times;
  raw: Times;
  node: number;
  offset: number; // of its host's clock, ns; 0 when raw
  notes: string[]; // findings that name it
  onSelect: (node: number) => void;
  onFocus: (node: number) => void;
  onClose: () => void;
}

export function Details({ tree, times, raw, node, offset, notes, onSelect, onFocus, onClose }: DetailsProps) {
  const ghost = (tree.flags[node] & GHOST) !== 0;
  const close = (
    <button type="button" class="round close" aria-label="Close the details (Esc)" onClick={onClose}>
      ✕
    </button>
  );
  if (ghost) {
    const children = [...childrenOf(tree, node)];
    return (
      <aside class="details" aria-label="Details of an absent parent">
        {close}
        <h2>Absent parent</h2>
        <p>
          No span with the id <code>{tree.spanId[node]}</code> was received, but {children.length === 1 ? 'a span names' : `${count(children.length)} spans name`} it as parent. What is drawn is the time that its children cover: it must have begun by then.
        </p>
        <p class="quiet">It may still come, it may have been sampled away, or its process may have ended before it was sent.</p>
        <ul class="plain">
          {children.slice(0, 50).map((child) => (
            <li key={child}>
              <button type="button" class="link" onClick={() => onSelect(child)}>
                {visible(tree.name[child].slice(0, 100)) || '(no name)'}
              </button>
            </li>
          ))}
        </ul>
      </aside>
    );
  }
  const { span, resource, scope } = tree.source[node];
  const service = tree.services[tree.service[node]];
  const start = times.start[node];
  const flags = tree.flags[node];
  const parent = tree.parent[node];
  const status = statusNames[span.status?.code ?? 0];
  const process = (resource.attributes ?? []).filter(({ key }) => ofProcess.test(key));
  const rest = (resource.attributes ?? []).filter(({ key }) => !ofProcess.test(key));
  const dropped = [
    [span.droppedAttributesCount, 'attributes'],
    [span.droppedEventsCount, 'events'],
    [span.droppedLinksCount, 'links'],
  ].filter(([n]) => n) as [number, string][];
  return (
    <aside class="details" aria-label={`Details of the span ${tree.name[node]}`}>
      {close}
      <h2>
        <bdi>{visible(tree.name[node].slice(0, 400)) || '(no name)'}</bdi>
      </h2>
      <p class="sub">
        <Service name={service} />
        {(span.kind ?? 0) > 0 && <span>{kindNames[span.kind ?? 0] ?? span.kind}</span>}
        {status === 'error' ? <b class="bad">▲ error</b> : status === 'ok' && <span>✓ ok</span>}
      </p>
      {span.status?.message && <p class="bad message">{visible(span.status.message.slice(0, 4000))}</p>}
      {notes.map((note) => (
        <p key={note} class="note">
          {note}
        </p>
      ))}
      {flags & (DUPLICATE | NEGATIVE | CYCLE) ? (
        <p class="note">
          {flags & CYCLE ? 'It is its own ancestor. ' : ''}
          {flags & DUPLICATE ? 'Another span of this trace has the same id and other content. ' : ''}
          {flags & NEGATIVE ? 'It ends before it starts.' : ''}
        </p>
      ) : null}
      <dl class="facts">
        <div>
          <dt>duration</dt>
          <dd>{duration(raw.end[node] - raw.start[node])}</dd>
        </div>
        <div>
          <dt>self</dt>
          <dd>{duration(selfTime(tree, times, node))}</dd>
        </div>
        <div>
          <dt>starts</dt>
          <dd>{start < times.from ? duration(start - times.from) : `+ ${duration(start - times.from)}`}</dd>
        </div>
        <div class="long">
          <dt>at</dt>
          <dd>
            {moment(millisOf(addNanos(tree.base, raw.start[node])), zone.value)}
            {offset !== 0 && (
              <span class="quiet">
                {' '}
                by its own clock; drawn {duration(Math.abs(offset))} {offset > 0 ? 'later' : 'earlier'}
              </span>
            )}
          </dd>
        </div>
      </dl>
      <p class="actions">
        <CopyButton text={span.spanId} what="the span id">
          {span.spanId}
        </CopyButton>
        <CopyButton text={() => JSON.stringify({ resource, scope, span }, null, 2)} what="the span as JSON">
          JSON
        </CopyButton>
        <button type="button" class="small" onClick={() => onFocus(node)} title="Only its subtree (f)">
          focus
        </button>
        {parent >= 0 && (
          <button type="button" class="small" onClick={() => onSelect(parent)}>
            {flags & ORPHAN ? 'absent parent' : 'parent'}
          </button>
        )}
      </p>
      <Section title="Attributes" n={span.attributes?.length ?? 0} open>
        <Attributes list={span.attributes} searchAs="" />
      </Section>
      <Section title="Events" n={span.events?.length ?? 0} open>
        {(span.events ?? []).slice(0, 200).map((event, index) => (
          <div class="event" key={index}>
            <p>
              <b>
                <bdi>{visible((event.name ?? '').slice(0, 300)) || '(no name)'}</bdi>
              </b>{' '}
              <span class="quiet">+ {duration(millisOf(event.timeUnixNano ?? '0') * 1e6 - millisOf(span.startTimeUnixNano ?? '0') * 1e6)} in the span</span>
            </p>
            <Attributes list={event.attributes} />
          </div>
        ))}
        {(span.events?.length ?? 0) > 200 && <p class="quiet">the first 200 of {count(span.events?.length ?? 0)}</p>}
      </Section>
      <Section title="Links" n={span.links?.length ?? 0} open>
        {(span.links ?? []).slice(0, 200).map((link, index) => (
          <div class="event" key={index}>
            <p>
              {link.traceId === span.traceId ? (
                <button
                  type="button"
                  class="link"
                  onClick={() => {
                    const at = tree.spanId.indexOf(link.spanId);
                    if (at >= 0) onSelect(at);
                  }}
                >
                  span {link.spanId} of this trace
                </button>
              ) : (
                <a href={formatRoute('trace', link.traceId, { span: link.spanId })}>
                  trace {link.traceId.replace(/^0+(?=.{16})/, '…')}, span {link.spanId}
                </a>
              )}
            </p>
            <Attributes list={link.attributes} />
          </div>
        ))}
      </Section>
      <Section title="Process" n={process.length}>
        <Attributes list={process} searchAs="resource." />
      </Section>
      <Section title="Resource" n={rest.length}>
        <Attributes list={rest} searchAs="resource." />
      </Section>
      {(scope.name || scope.version || scope.attributes?.length) && (
        <Section title="Scope" n={1}>
          <p>
            <bdi>{visible((scope.name ?? '').slice(0, 300))}</bdi> <span class="quiet">{visible((scope.version ?? '').slice(0, 100))}</span>
          </p>
          <Attributes list={scope.attributes} />
        </Section>
      )}
      {(dropped.length > 0 || span.traceState) && (
        <p class="quiet">
          {dropped.map(([n, what]) => `${count(n)} ${what} dropped by the SDK. `)}
          {span.traceState && <>trace state: {visible(span.traceState.slice(0, 600))}</>}
        </p>
      )}
    </aside>
  );
}

function Section({ title, n, open, children }: { title: string; n: number; open?: boolean; children: preact.ComponentChildren }) {
  if (n === 0) return null;
  return (
    <details open={open}>
      <summary>
        {title} <span class="quiet">{title === 'Scope' ? '' : count(n)}</span>
      </summary>
      {children}
    </details>
  );
}
