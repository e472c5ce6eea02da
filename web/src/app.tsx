// The frame around the pages: navigation, settings, the sheet of keys.
import { lazy } from './parts/lazy';
import { useEffect, useRef, useState } from 'preact/hooks';
import { helpOpen, isDark, notice, route, tenant, theme, token, zoneName } from './state';
import { useKeys } from './hooks';
import { Help } from './parts/help';
import { SearchPage } from './pages/search';
import logo from './clew.svg';

const TracePage = lazy(() => import('./pages/trace').then((module) => module.TracePage));
const ServicesPage = lazy(() => import('./pages/services').then((module) => module.ServicesPage));
const ServicePage = lazy(() => import('./pages/service').then((module) => module.ServicePage));
const ComparePage = lazy(() => import('./pages/compare').then((module) => module.ComparePage));
const NodePage = lazy(() => import('./pages/node').then((module) => module.NodePage));

const pages = [
  ['search', 'Search'],
  ['services', 'Services'],
  ['compare', 'Compare'],
  ['node', 'Cluster'],
] as const;

function Settings() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key === 'Escape') setOpen(false);
    };
    addEventListener('pointerdown', away);
    addEventListener('keydown', escape);
    return () => {
      removeEventListener('pointerdown', away);
      removeEventListener('keydown', escape);
    };
  }, [open]);
  return (
    <div class="settings" ref={box}>
      <button type="button" aria-label={tenant.value ? `Settings; tenant ${tenant.value.slice(0, 40)}` : 'Settings'} aria-expanded={open} aria-controls="settings" onClick={() => setOpen(!open)}>
        <span aria-hidden="true">⚙</span> <span class="long">{tenant.value ? <bdi>{tenant.value.slice(0, 40)}</bdi> : 'Settings'}</span>
      </button>
      {open && (
        <form id="settings" class="popover" onSubmit={(event) => event.preventDefault()}>
          <label>
            Appearance
            <select value={theme.value} onChange={(event) => theme.keep(event.currentTarget.value)}>
              <option value="auto">as the system has it</option>
              <option value="light">light</option>
              <option value="dark">dark</option>
            </select>
          </label>
          <label>
            Times
            <select value={zoneName.value} onChange={(event) => zoneName.keep(event.currentTarget.value)}>
              <option value="local">local ({Intl.DateTimeFormat().resolvedOptions().timeZone})</option>
              <option value="utc">UTC</option>
            </select>
          </label>
          <label>
            Tenant
            <input value={tenant.value} placeholder="default" spellcheck={false} onChange={(event) => tenant.keep(event.currentTarget.value.trim())} />
          </label>
          <label>
            Bearer token
            <input type="password" value={token.value} placeholder="none" autocomplete="off" onChange={(event) => token.keep(event.currentTarget.value.trim())} />
            <small>kept until this tab is closed</small>
          </label>
        </form>
      )}
    </div>
  );
}

export function App() {
  const { page, argument } = route.value;
  useEffect(() => {
    document.documentElement.dataset.theme = isDark.value ? 'dark' : 'light';
  }, [isDark.value]);
  useEffect(() => {
    if (page !== 'trace') document.title = `${pages.find(([name]) => name === page)?.[1] ?? 'Clew'} · Clew`;
  }, [page]);
  // What a click on a trace needs comes while the list is read.
  useEffect(() => {
    const timer = setTimeout(() => void import('./pages/trace').catch(() => undefined), 1000);
    return () => clearTimeout(timer);
  }, []);
  useKeys({ '?': () => (helpOpen.value = !helpOpen.value) });
  const who = `${tenant.value}\n${token.value}`;
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => (event.preventDefault(), document.getElementById('main')?.focus())}>
        Skip to the content
      </a>
      <header class="top">
        <a class="brand" href="#/search" aria-label="Clew, to the search">
          <img src={logo} alt="" width="22" height="22" />
          <span>Clew</span>
        </a>
        <nav aria-label="Pages">
          {pages.map(([name, title]) => (
            <a key={name} href={`#/${name}`} aria-current={page === name || (name === 'services' && page === 'service') ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <TraceJump />
        <button type="button" class="round" title="Keys (?)" aria-label="Keys" onClick={() => (helpOpen.value = true)}>
          ?
        </button>
        <Settings />
      </header>
      <main id="main" tabIndex={-1} class={`page-${page}`} key={who}>
          {page === 'trace' ? (
            <TracePage key={argument} id={argument} />
          ) : page === 'services' ? (
            <ServicesPage />
          ) : page === 'service' ? (
            <ServicePage key={argument} name={argument} />
          ) : page === 'compare' ? (
            <ComparePage />
          ) : page === 'node' ? (
            <NodePage />
          ) : (
            <SearchPage />
          )}
      </main>
      {helpOpen.value && <Help />}
      <div class={`notice${notice.value ? ' shown' : ''}`} role="status">
        {notice.value}
      </div>
    </>
  );
}

// A trace id leads straight to its trace, wherever one is.
function TraceJump() {
  const [bad, setBad] = useState(false);
  return (
    <form
      class="jump"
      role="search"
      onSubmit={(event) => {
        event.preventDefault();
        const input = event.currentTarget.elements.namedItem('id') as HTMLInputElement;
        const id = /[0-9a-f]{1,32}/i.exec(input.value.trim().replaceAll('-', ''))?.[0];
        setBad(!id);
        if (!id) return;
        input.value = '';
        location.hash = `#/trace/${id.toLowerCase()}`;
      }}
    >
      <input name="id" aria-label="Open a trace by its id" aria-invalid={bad} placeholder="trace id" spellcheck={false} autocomplete="off" />
    </form>
  );
}
