// The key-value store, read only: folders and keys below a prefix, at the present or at a revision, and one key with its
// value. What is looked at stands in the address.
import { useEffect, useRef, useState } from 'preact/hooks';
import { api, ApiError, type KvEntry, type KvPage } from '../api';
import { useKeys, useLoad } from '../hooks';
import { bytesOf, crumbs, parseBytes, percent, showBytes, viewsOf, type ValueView } from '../lib/bytes';
import { visible } from '../lib/otlp';
import { formatRoute } from '../lib/route';
import { bytes, count } from '../lib/time';
import { copy, route, setParams, tenant, token } from '../state';
import { CopyButton, Field, Problem } from './common';
import { VirtualList, type VirtualControl } from './virtual';

const pageSize = '200';
const delimiter = '/';
const valueSizes = [64 << 10, 256 << 10];
const levels: [string, string][] = [
  ['', 'newest (linearizable)'],
  ['lease', 'newest (lease)'],
  ['sequential', 'as this node has it'],
];
const viewNames: Record<ValueView, string> = { text: 'Text', json: 'JSON', hex: 'Hex' };

// Keys in the address and on the page are written by showBytes().
const encoded = (text: string) => percent(parseBytes(text));
const shown = (text: string) => visible(text.length > 400 ? `${text.slice(0, 400)}…` : text);

interface Row {
  folder: boolean;
  path: string; // as showBytes() writes it
  entry: KvEntry;
}

const rowsOf = (page: KvPage): Row[] =>
  page.entries.map((entry) => {
    const folder = entry.folder !== undefined || entry.folderBase64 !== undefined;
    return { folder, path: showBytes(folder ? bytesOf(entry.folder, entry.folderBase64) : bytesOf(entry.key, entry.keyBase64)), entry };
  });

const nextOf = (page: KvPage): string | undefined => (page.next == null && page.nextBase64 === undefined ? undefined : percent(bytesOf(page.next ?? undefined, page.nextBase64)));

// The pages of one list, all at the revision of the first.
function usePages(key: string, asked: Record<string, string | undefined>) {
  const [state, setState] = useState<{ key: string; rows: Row[]; next?: string; head?: KvPage; loading: boolean; error?: ApiError }>({ key: '', rows: [], loading: true });
  const [turn, setTurn] = useState(0);
  const abort = useRef<AbortController>();
  const failed = (error: unknown) => {
    if (abort.current?.signal.aborted) return;
    setState((old) => ({ ...old, key, rows: old.key === key ? old.rows : [], loading: false, error: error instanceof ApiError ? error : new ApiError(-1, 'PAGE', String(error), '') }));
  };
  useEffect(() => {
    const mine = new AbortController();
    abort.current = mine;
    setState((old) => ({ ...old, loading: true, error: undefined }));
    api.keys({ ...asked, limit: pageSize }, mine.signal).then((page) => setState({ key, rows: rowsOf(page), next: nextOf(page), head: page, loading: false }), (error) => mine.signal.aborted || failed(error));
    return () => mine.abort();
  }, [key, turn]);
  const more = () => {
    const { next, head, loading, error } = state;
    if (!next || !head || loading || error || state.key !== key) return;
    setState((old) => ({ ...old, loading: true }));
    api
      .keys({ ...asked, limit: pageSize, from: next, revision: head.readRevision, consistency: 'sequential' }, abort.current?.signal)
      .then((page) => setState((old) => (old.next === next && old.key === key ? { ...old, rows: [...old.rows, ...rowsOf(page)], next: nextOf(page), loading: false } : old)), failed);
  };
  return { ...state, more, again: () => setTurn((n) => n + 1) };
}

const advised = (error: ApiError) =>
  error.message.includes('compacted')
    ? new ApiError(error.status, error.code, 'This revision is no longer kept: the store was compacted past it.', 'Choose a newer revision, or the present.')
    : error.message.includes('future revision')
      ? new ApiError(error.status, error.code, 'The store has not come to this revision yet.', 'Choose an older revision, or the present.')
      : error;

export function Keys() {
  const { params } = route.value;
  const { prefix = '', key = '', level = '' } = params;
  const rev = /^[1-9]\d{0,18}$/.test(params.rev ?? '') ? params.rev : '';
  const flat = params.flat === '1';
  const asked = { prefix: encoded(prefix), delimiter: flat ? undefined : percent(parseBytes(delimiter)), revision: rev, consistency: level };
  const list = usePages(JSON.stringify([asked, tenant.value, token.value]), asked);
  const [typed, setTyped] = useState(prefix);
  useEffect(() => setTyped(prefix), [prefix]);
  const at = useRef({ list: '', index: -1 }); // where the keyboard is, of that list
  const control = useRef<VirtualControl>(null);
  const link = (changes: Record<string, string>) => formatRoute('node', '', { view: 'keys', prefix, key, rev, level, flat, ...changes });
  const move = (step: number) => {
    const here = `${prefix}\n${flat}`;
    const from = at.current.list === here ? at.current.index : -1;
    const next = Math.max(0, Math.min(list.rows.length - 1, from + step));
    at.current = { list: here, index: next };
    control.current?.reveal(next);
    // At once when the row is there, so that a key that follows at once finds it.
    const focus = () => document.getElementById(`kv-${next}`)?.focus({ preventScroll: true });
    focus();
    requestAnimationFrame(focus);
  };
  const up = () => {
    // Where the address is now: the key may come again before this page is drawn anew.
    const way = crumbs(route.peek().params.prefix ?? '', delimiter);
    if (way.length) setParams({ prefix: way[way.length - 2]?.prefix ?? '', key: '' }, false);
  };
  useKeys({ j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), u: up, '/': () => document.getElementById('kv-prefix')?.focus(), Escape: () => (document.activeElement instanceof HTMLInputElement ? document.activeElement.blur() : setParams({ key: '' })) });
  const { head } = list;
  return (
    <section class="keys" aria-label="Key-value store">
      <div class="keys-tools">
        <form
          role="search"
          onSubmit={(event) => {
            event.preventDefault();
            setParams({ prefix: typed, key: '' }, false);
          }}
        >
          <input id="kv-prefix" class="mono" aria-label="Keys that begin with" placeholder="keys that begin with…" value={typed} spellcheck={false} autocomplete="off" onInput={(event) => setTyped(event.currentTarget.value)} />
        </form>
        <label class="check">
          <input type="checkbox" checked={flat} onChange={(event) => setParams({ flat: event.currentTarget.checked }, false)} /> without folders
        </label>
        <label class="at-revision">
          at revision{' '}
          <Field inputMode="numeric" value={rev} placeholder={head ? `${head.revision} (now)` : 'now'} aria-label="Revision" commit={(text) => setParams({ rev: /^[1-9]\d{0,18}$/.test(text) ? text : '' }, false)} />
        </label>
        <select aria-label="How new" value={level} onChange={(event) => setParams({ level: event.currentTarget.value })}>
          {levels.map(([value, name]) => (
            <option key={value} value={value}>
              {name}
            </option>
          ))}
        </select>
        <button type="button" onClick={list.again} disabled={list.loading}>
          Read again
        </button>
      </div>
      <nav class="crumbs mono" aria-label="Folder">
        <a href={link({ prefix: '', key: '' })} aria-current={prefix === '' ? 'location' : undefined}>
          all keys
        </a>
        {crumbs(prefix, delimiter).map((crumb) => (
          <a key={crumb.prefix} href={link({ prefix: crumb.prefix, key: '' })} aria-current={prefix === crumb.prefix ? 'location' : undefined}>
            <bdi>{shown(crumb.name)}</bdi>
          </a>
        ))}
      </nav>
      {list.error && <Problem error={advised(list.error)} again={list.again} />}
      <div class={`keys-parts${key ? ' with-value' : ''}`}>
        <div class="keys-list">
          <div class="kv-row kv-head" aria-hidden="true">
            <span>key</span>
            <span class="n">changed at</span>
            <span class="n">version</span>
            <span>lease</span>
          </div>
          {list.rows.length === 0 && !list.error ? (
            <p class="empty">{list.loading ? 'Reading…' : prefix ? 'No key begins with this prefix.' : 'The store holds no keys. Put one by any etcd client, or by clew kv put.'}</p>
          ) : (
            <VirtualList
              class="kv-rows"
              role="list"
              aria-label="Keys"
              count={list.rows.length}
              rowHeight={30}
              control={control}
              onRange={(_first, last) => last > list.rows.length - 40 && list.more()}
              row={(index, top) => <KeyRow key={list.rows[index].path} row={list.rows[index]} index={index} top={top} prefix={prefix} chosen={!list.rows[index].folder && list.rows[index].path === key} link={link} />}
            />
          )}
          <p class="quiet keys-foot" role="status">
            {list.loading ? 'Reading…' : `${count(list.rows.length)}${list.next ? ' and more below' : ''}`}
            {head && ` · revision ${head.readRevision}${head.readRevision === head.revision ? ', the present' : ` of ${head.revision}`} · ${head.consistency}`}
          </p>
        </div>
        {key && <ValuePanel key={`${key} ${rev} ${level}`} name={key} rev={rev} level={level} turn={list.head} />}
      </div>
    </section>
  );
}

function KeyRow({ row, index, top, prefix, chosen, link }: { row: Row; index: number; top: number; prefix: string; chosen: boolean; link: (changes: Record<string, string>) => string }) {
  const { entry, path } = row;
  const name = path.startsWith(prefix) && path.length > prefix.length ? path.slice(prefix.length) : path;
  return (
    <div class={`kv-row${chosen ? ' current' : ''}`} role="listitem" style={{ transform: `translateY(${top}px)` }}>
      <a id={`kv-${index}`} class="mono" href={link(row.folder ? { prefix: path, key: '' } : { key: path })} aria-current={chosen ? 'true' : undefined} title={shown(path)}>
        {row.folder && (
          <span aria-hidden="true" class="quiet">
            ▸{' '}
          </span>
        )}
        <bdi>{shown(name)}</bdi>
      </a>
      <span class="n">{entry.modRevision ?? ''}</span>
      <span class="n">{entry.version ?? ''}</span>
      <span class="mono quiet">{entry.lease ?? ''}</span>
    </div>
  );
}

function ValuePanel({ name, rev, level, turn }: { name: string; rev: string; level: string; turn: unknown }) {
  const [size, setSize] = useState(valueSizes[0]);
  const [chosen, setChosen] = useState<ValueView>();
  const loaded = useLoad(`${name} ${size} ${tenant.value}`, (signal) => api.value({ key: encoded(name), revision: rev, consistency: level, bytes: String(size) }, signal));
  // What is read again is read again here, too.
  const first = useRef(turn);
  useEffect(() => {
    if (turn !== first.current && first.current !== undefined) loaded.again();
    first.current = turn;
  }, [turn]);
  const { data } = loaded;
  const value = data && bytesOf(data.value, data.valueBase64);
  const views = value && data ? viewsOf(value, data.truncated) : [];
  const view = views.find((one) => one.view === chosen) ?? views[0];
  const older = data && Number(data.version) > 1 ? String(BigInt(data.modRevision) - 1n) : '';
  return (
    <aside class="kv-value" aria-label={`Value of ${shown(name)}`}>
      <button type="button" class="round close" aria-label="Close the value (Esc)" onClick={() => setParams({ key: '' })}>
        ✕
      </button>
      <h2 class="mono">
        <bdi>{shown(name)}</bdi>
      </h2>
      {loaded.error && <Problem error={loaded.error.status === 404 ? new ApiError(404, loaded.error.code, loaded.error.message, rev ? 'It was created later, or deleted before.' : 'It was deleted, or its lease ended.') : advised(loaded.error)} again={loaded.again} />}
      {data && view && value && (
        <>
          <dl class="facts">
            <div>
              <dt>created at</dt>
              <dd>{data.createRevision}</dd>
            </div>
            <div>
              <dt>changed at</dt>
              <dd>{data.modRevision}</dd>
            </div>
            <div>
              <dt>version</dt>
              <dd>{data.version}</dd>
            </div>
            <div>
              <dt>lease</dt>
              <dd>{data.lease ? <code>{data.lease}</code> : 'none'}</dd>
            </div>
            <div>
              <dt>size</dt>
              <dd>{bytes(data.valueBytes)}</dd>
            </div>
          </dl>
          <p class="actions">
            {older && (
              <button type="button" class="small" onClick={() => setParams({ rev: older }, false)} title={`As it was at revision ${older}`}>
                the version before
              </button>
            )}
            {rev && (
              <button type="button" class="small" onClick={() => setParams({ rev: '' }, false)}>
                the present
              </button>
            )}
            <CopyButton text={name} what="the key">
              copy key
            </CopyButton>
            <button type="button" class="small" onClick={() => void copy(view.text, data.truncated ? 'the beginning of the value' : 'the value')}>
              copy value
            </button>
          </p>
          <div class="tabs" role="tablist" aria-label="Ways to read the value">
            {views.map((one) => (
              <button key={one.view} type="button" role="tab" aria-selected={one.view === view.view} onClick={() => setChosen(one.view)}>
                {viewNames[one.view]}
              </button>
            ))}
          </div>
          {data.valueBytes === 0 ? (
            <p class="quiet">The value is empty.</p>
          ) : (
            <pre class={`kv-bytes view-${view.view}`} tabIndex={0} aria-label="Value">
              {view.view === 'hex' ? view.text : visible(view.text)}
            </pre>
          )}
          {data.truncated && (
            <p class="quiet">
              The first {bytes(value.length)} of {bytes(data.valueBytes)}.{' '}
              {size < valueSizes[1] ? (
                <button type="button" class="small" onClick={() => setSize(valueSizes[1])}>
                  show {bytes(Math.min(valueSizes[1], data.valueBytes))}
                </button>
              ) : (
                <>
                  All of it: <code>clew kv get</code>
                </>
              )}
            </p>
          )}
        </>
      )}
    </aside>
  );
}
