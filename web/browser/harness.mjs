// A real node and a real browser for the scripts of this folder: a node on free loopback ports with a directory of its own,
// Debian's chromium driven by playwright-core. Exit code 77 when there is no chromium: the test is skipped, and says so.
// Environment: CLEW (the program), CLEW_SOURCE (the checkout), CLEW_CHROMIUM (default /usr/bin/chromium).
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const source = process.env.CLEW_SOURCE ?? process.cwd();
const program = process.env.CLEW ?? join(source, 'build/release/clew');
const browserPath = process.env.CLEW_CHROMIUM ?? '/usr/bin/chromium';

export function needBrowser() {
  if (existsSync(browserPath)) return;
  console.log(`skipped: there is no ${browserPath}; ./dev web installs it`);
  process.exit(77);
}

// Below the ports that the system gives out and those that other tests claim: one that is let go here is nobody's connection
// when a node asks for it, and none is told twice.
const told = new Set();
async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = 8000 + Math.floor(Math.random() * 1000);
    if (told.has(port)) continue;
    const server = createServer();
    const free = await new Promise((resolve) => server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true)));
    if (!free) continue;
    await new Promise((resolve) => server.close(resolve));
    told.add(port);
    ports.push(port);
  }
  return ports;
}

// Calls `condition` until it gives something true; fails after `seconds`.
export async function until(what, condition, seconds = 30) {
  const deadline = Date.now() + seconds * 1e3;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (Date.now() > deadline) throw new Error(`not within ${seconds} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export class ClewNode {
  static async create() {
    const node = new ClewNode();
    node.directory = mkdtempSync(join(tmpdir(), 'clew-web-'));
    [node.otlpPort, node.httpPort, node.clientPort, node.peerPort] = await freePorts(4);
    node.more = [];
    node.config = join(node.directory, 'clew.yaml');
    writeFileSync(node.config, 'traces: {quiet_period: 300ms, trace_timeout: 1s, max_open: 10s}\nstorage: {seal_delay: 100ms}\n');
    node.url = `http://127.0.0.1:${node.httpPort}`;
    return node;
  }
  async start() {
    this.process = spawn(program, ['serve', '--config', this.config, '--data-dir', join(this.directory, 'data'), '--otlp-grpc', '', '--tempo', '', '--etcd', '', '--peer', `127.0.0.1:${this.peerPort}`, '--client', `127.0.0.1:${this.clientPort}`, '--otlp-http', `127.0.0.1:${this.otlpPort}`, '--http', `127.0.0.1:${this.httpPort}`, '--log-level', 'warn', ...this.more], { stdio: ['ignore', 'inherit', 'inherit'] });
    await until('the node is ready', async () => {
      if (this.process.exitCode !== null) throw new Error('the node ended');
      return fetch(`${this.url}/ready`).then((reply) => reply.ok, () => false);
    });
    return this;
  }
  async kill() {
    if (this.process && this.process.exitCode === null) {
      const gone = new Promise((resolve) => this.process.once('exit', resolve));
      this.process.kill('SIGKILL');
      await gone;
    }
  }
  async remove() {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }
  // Founders of one group, started at once: none is ready without a majority.
  static async group(count) {
    const nodes = [];
    for (let n = 0; n < count; n++) nodes.push(await ClewNode.create());
    const founders = nodes.map((node, n) => `${n + 1}=127.0.0.1:${node.peerPort}`).join(',');
    nodes.forEach((node, n) => (node.more = ['--node-id', String(n + 1), '--initial-cluster', founders]));
    await Promise.all(nodes.map((node) => node.start()));
    return nodes;
  }
  kv(...args) {
    const done = spawnSync(program, ['kv', args[0], '--server', `127.0.0.1:${this.clientPort}`, ...args.slice(1)], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`clew kv ${args[0]}: ${done.stdout}${done.stderr}`);
    return done.stdout;
  }
  import(...args) {
    const done = spawnSync(program, ['import', '--server', `127.0.0.1:${this.otlpPort}`, ...args], { encoding: 'utf8' });
    if (done.status !== 0) throw new Error(`clew import: ${done.stdout}${done.stderr}`);
  }
  importSamples() {
    const folder = join(source, 'examples/traces');
    for (const name of readdirSync(folder)) if (name.endsWith('.jsonl')) this.import('--shift', join(folder, name));
  }
  async get(path, headers = {}) {
    const reply = await fetch(this.url + path, { headers });
    if (!reply.ok) throw new Error(`GET ${path}: ${reply.status}`);
    return reply.json();
  }
  async send(resourceSpans, headers = {}) {
    const reply = await fetch(`http://127.0.0.1:${this.otlpPort}/v1/traces`, { method: 'POST', headers: { 'Content-Type': 'application/json', ...headers }, body: JSON.stringify({ resourceSpans }) });
    if (!reply.ok) throw new Error(`OTLP: ${reply.status} ${await reply.text()}`);
  }
}

// A trace of `count` spans over `services` services, the same each time: each span hangs on one of the last few hundred.
export function bigTrace(count, services = 24) {
  const id = createHash('sha256').update(`big ${count}`).digest('hex').slice(0, 32);
  let state = 7;
  const next = () => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state / 0x7fffffff;
  };
  const spans = [];
  const begin = BigInt(Date.now() - 60_000) * 1_000_000n;
  const batches = Array.from({ length: services }, (_, n) => ({ resource: { attributes: [{ key: 'service.name', value: { stringValue: `service-${n}` } }, { key: 'host.name', value: { stringValue: `host-${n % 7}` } }] }, scopeSpans: [{ scope: { name: 'made' }, spans: [] }] }));
  for (let i = 0; i < count; i++) {
    const parent = i === 0 ? -1 : Math.max(0, i - 1 - Math.floor(next() ** 2 * 300));
    const from = i === 0 ? 0 : spans[parent].from + next() * spans[parent].took * 0.4;
    const took = i === 0 ? 30e9 : Math.max(1e3, (spans[parent].from + spans[parent].took - from) * (0.2 + 0.75 * next()));
    spans.push({ from, took });
    const service = i === 0 ? 0 : Math.floor(next() * services);
    batches[service].scopeSpans[0].spans.push({
      traceId: id,
      spanId: (i + 1).toString(16).padStart(16, '0'),
      parentSpanId: parent < 0 ? '' : (parent + 1).toString(16).padStart(16, '0'),
      name: `operation ${Math.floor(next() * 40)}`,
      kind: i === 0 ? 2 : 1,
      startTimeUnixNano: (begin + BigInt(Math.round(from))).toString(),
      endTimeUnixNano: (begin + BigInt(Math.round(from + took))).toString(),
      attributes: [
        { key: 'http.route', value: { stringValue: `/items/${Math.floor(next() * 100)}` } },
        { key: 'retry', value: { intValue: String(Math.floor(next() * 3)) } },
      ],
      status: next() < 0.01 ? { code: 2, message: 'deadline exceeded' } : {},
    });
  }
  return { id, resourceSpans: batches };
}

export async function sendBig(node, count) {
  const { id, resourceSpans } = bigTrace(count);
  for (const one of resourceSpans) {
    const { spans } = one.scopeSpans[0];
    for (let at = 0; at < spans.length; at += 5000) await node.send([{ resource: one.resource, scopeSpans: [{ scope: one.scopeSpans[0].scope, spans: spans.slice(at, at + 5000) }] }]);
  }
  await until(`${count} spans are there`, async () => (await node.get(`/clew/v1/traces/${id}/verdict`)).summary.spans === count, 60);
  return id;
}

export function randomId(bytes) {
  return randomBytes(bytes).toString('hex');
}

export function launch() {
  return chromium.launch({ executablePath: browserPath, args: ['--no-sandbox', '--disable-gpu', '--force-color-profile=srgb'] });
}
