// Each screen and its interactions in a real browser against a real node: see the names of the checks.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { ClewNode, launch, needBrowser, randomId, until } from './harness.mjs';

needBrowser();
const node = await ClewNode.create();
const browser = await launch();
const complaints = [];
const only = process.argv[2];
let failed = 0;
let done = 0;

async function open(hash = '', options = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
  page.on('pageerror', (error) => complaints.push(`${hash}: ${error.message}`));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) complaints.push(`${hash}: ${message.text()}`);
  });
  page.on('request', (asked) => {
    if (!/^(https?:\/\/127\.0\.0\.1:|data:)/.test(asked.url())) complaints.push(`${hash}: asked ${asked.url()}`);
  });
  await page.goto(`${options.base ?? `${node.url}/`}${hash}`);
  return page;
}

async function check(name, run) {
  if (only && !name.includes(only)) return;
  const before = complaints.length;
  try {
    await run();
    const said = complaints.slice(before);
    assert.deepEqual(said, [], 'the browser complained');
    done += 1;
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n        ${String(error.stack ?? error).split('\n').slice(0, 6).join('\n        ')}`);
  }
}

const hits = (page) => page.locator('.hit');
const text = (page, selector) => page.locator(selector).first().innerText();
const params = (page) => page.evaluate(() => location.hash);
const whenHash = (page, pattern) => page.waitForFunction((source) => new RegExp(source).test(decodeURIComponent(location.hash)), pattern.source);

// Goes to another page of the open one, and waits until it shows what it has.
async function settled(page, hash) {
  await page.evaluate((next) => (location.hash = next), hash);
  await page.waitForFunction((next) => location.hash === next && document.querySelector(`main.page-${next.split(/[/?]/)[1]} h1`) && !document.querySelector('.loading'), hash);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

const orphanTrace = '00000000000000000d1a94ebc9256244';
const skewTrace = '00000000000000001e223ff1f80f1c69';

try {
  await node.start();

  await check('an empty node helps to send the first span, and goes on when it came', async () => {
    const page = await open();
    await page.getByText('Waiting for the first span').waitFor();
    await page.getByRole('tab', { name: 'Python' }).click();
    assert.match(await text(page, '.snippet'), /opentelemetry-instrument/);
    const now = `${Date.now()}000000`;
    await node.send([{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'first' } }] }, scopeSpans: [{ spans: [{ traceId: randomId(16), spanId: randomId(8), name: 'hello', startTimeUnixNano: now, endTimeUnixNano: now }] }] }]);
    await hits(page).first().waitFor();
    assert.match(await text(page, '.hit'), /first\s*hello/);
    await page.close();
  });

  node.importSamples();
  await until('the samples are decided', async () => (await node.get('/clew/v1/search?state=complete&limit=100')).hits.length >= 40, 60);

  await check('search: what is typed becomes the address, and the address the search', async () => {
    const page = await open('#/search?since=all');
    await page.getByText('50 traces').waitFor();
    await page.getByLabel('Service', { exact: true }).fill('serv');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await whenHash(page, /service=servicea/);
    await page.getByText('1 trace', { exact: true }).waitFor();
    await page.reload();
    await page.getByText('1 trace', { exact: true }).waitFor();
    assert.equal(await page.getByLabel('Service', { exact: true }).inputValue(), 'servicea');
    await page.goBack();
    await page.getByText('50 traces').waitFor();
    await page.close();
  });

  await check('search: verdict, finding, duration, errors and attributes narrow it', async () => {
    const page = await open('#/search?since=all');
    await page.getByText('50 traces').waitFor();
    await page.getByLabel('Verdict').selectOption('incomplete');
    await page.getByText('2 traces').waitFor();
    await page.getByLabel('Finding').selectOption('no_root');
    await page.getByText('1 trace', { exact: true }).waitFor();
    await page.getByLabel('Finding').selectOption('');
    await page.getByLabel('Verdict').selectOption('');
    await page.getByLabel('Shortest duration').fill('3s');
    await page.keyboard.press('Enter');
    await whenHash(page, /min=3s/);
    await until('few are that long', async () => (await hits(page).count()) < 50);
    await page.getByLabel('Shortest duration').fill('soon');
    await page.keyboard.press('Enter');
    assert.match(await page.getByRole('alert').innerText(), /no duration/);
    await page.close();
  });

  await check('search: the filter completes names and values by keyboard', async () => {
    const page = await open('#/search?since=all');
    await until('the filter has the keyboard', async () => {
      await page.keyboard.press('/');
      return page.evaluate(() => document.activeElement?.tagName === 'INPUT');
    });
    await page.keyboard.type('gen_ai.operation');
    await page.getByRole('option', { name: 'gen_ai.operation.name' }).waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.getByRole('option').first().waitFor();
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    await whenHash(page, /f=gen_ai\.operation\.name=\w+/);
    await until('a trace has it', async () => /^1 trace/.test(await text(page, '.found')));
    await page.close();
  });

  await check('search: dragging on the plot narrows the time range', async () => {
    const page = await open('#/search?since=all');
    await page.getByText('50 traces').waitFor();
    const plot = page.locator('.u-over');
    const box = await plot.boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await whenHash(page, /start=\d+&end=\d+/);
    await page.close();
  });

  await check('search by keyboard alone: rows, marks, compare', async () => {
    const page = await open('#/search?since=all&service=frontend');
    await hits(page).nth(3).waitFor();
    for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key);
    await page.getByRole('link', { name: 'Compare the 2 marked traces' }).click();
    await page.locator('.diff .diff-row').first().waitFor();
    assert.match(await text(page, '.diff'), /HTTP GET/);
    await page.close();
  });

  await check('live tail shows a trace that comes', async () => {
    const page = await open('#/search?since=all&live=1');
    await page.getByText('50 traces · live').waitFor();
    const now = `${Date.now()}000000`;
    await node.send([{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'tail' } }] }, scopeSpans: [{ spans: [{ traceId: randomId(16), spanId: randomId(8), name: 'arrived', startTimeUnixNano: now, endTimeUnixNano: now }] }] }]);
    await page.getByText('arrived').waitFor();
    await page.close();
  });

  await check('trace: verdict, findings and ghosts of an incomplete trace; a finding leads to its span', async () => {
    const page = await open(`#/trace/${orphanTrace}`);
    await page.locator('.row').first().waitFor();
    assert.match(await text(page, '.verdict'), /2 parents missing/);
    assert.match(await text(page, '.basis'), /✕\s*does not hold:\s*every parent|✕ every parent/);
    assert.equal(await page.locator('.row.ghost').count(), 2);
    await page.locator('.finding .link').first().click();
    await page.locator('.details').waitFor();
    assert.match(await text(page, '.details h2'), /Absent parent/);
    await whenHash(page, /span=0153a596db406/);
    assert.match(await text(page, '.history'), /version 1/);
    await page.close();
  });

  await check('trace by keyboard alone: rows, folding, focus, views, critical path, search', async () => {
    const id = (await node.get('/clew/v1/search?service=compose-post-service&limit=1')).hits[0].traceID;
    const page = await open(`#/trace/${id}`);
    await page.locator('.row').first().waitFor();
    const rowCount = () => page.locator('.rows').getAttribute('aria-rowcount').then(Number);
    const all = await rowCount();
    await page.keyboard.press('j');
    await page.locator('.row.selected').waitFor();
    await page.keyboard.press('ArrowLeft');
    await until('the first row is closed', async () => (await rowCount()) === 1);
    await page.keyboard.press(']');
    await until('all rows are open', async () => (await rowCount()) === all);
    for (const key of ['j', 'j', 'f']) await page.keyboard.press(key);
    await until('only a subtree is shown', async () => (await rowCount()) < all);
    await page.keyboard.press('f');
    await until('all is shown', async () => (await rowCount()) === all);
    await page.keyboard.press('c');
    await page.locator('i.critical').first().waitFor();
    await page.keyboard.press('/');
    await page.keyboard.type('mongo');
    await page.locator('.row.match').first().waitFor();
    await page.keyboard.press('Escape');
    await page.keyboard.press('n');
    await until('the match is selected', async () => (await page.locator('.row.selected.match').count()) === 1);
    await page.keyboard.press('+');
    await whenHash(page, /z=\d+-\d+/);
    await page.keyboard.press('0');
    await page.keyboard.press('2');
    await page.locator('.flame canvas').waitFor();
    await page.keyboard.press('3');
    await page.getByRole('table', { name: 'Statistics' }).waitFor();
    await page.keyboard.press('1');
    await page.keyboard.press('?');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await page.close();
  });

  await check('trace: clocks raw and corrected, with the estimate and its evidence', async () => {
    const page = await open(`#/trace/${skewTrace}`);
    await page.locator('.row').first().waitFor();
    assert.match(await text(page, '.skew'), /serviceb\s+servicea\s+65\.4 ms behind\s+481 µs\s+1/);
    const left = () => page.locator('.row', { hasText: 'serviceb' }).first().locator('.bar').evaluate((bar) => bar.style.left);
    const raw = await left();
    await page.keyboard.press('t');
    await until('the bar moved', async () => (await left()) !== raw);
    await whenHash(page, /clock=corrected/);
    await page.close();
  });

  await check('trace: late spans reopen it, the page says so, and the history tells', async () => {
    const id = randomId(16);
    const root = randomId(8);
    const at = BigInt(Date.now() - 5000) * 1_000_000n;
    const send = (spanId, parentSpanId) => node.send([{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'late' } }] }, scopeSpans: [{ spans: [{ traceId: id, spanId, parentSpanId, name: 'work', startTimeUnixNano: String(at), endTimeUnixNano: String(at + 1000000n) }] }] }]);
    await send(root, '');
    const page = await open(`#/trace/${id}`);
    await page.locator('.row').first().waitFor();
    await page.locator('.verdict-toggle .state-complete').waitFor({ timeout: 20_000 });
    await send(randomId(8), root);
    await page.getByText('1 more span came').waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Show them' }).click();
    await until('both are shown', async () => (await page.locator('.row').count()) === 2);
    await page.close();
  });

  await check('links lead to the other trace', async () => {
    const [from, to, toSpan] = [randomId(16), randomId(16), randomId(8)];
    const now = `${Date.now()}000000`;
    const one = (traceId, spanId, links) => ({ traceId, spanId, name: links.length ? 'consumer' : 'producer', startTimeUnixNano: now, endTimeUnixNano: now, links });
    await node.send([{ resource: {}, scopeSpans: [{ spans: [one(from, 'aaaaaaaaaaaaaaaa', [{ traceId: to, spanId: toSpan }]), one(to, toSpan, [])] }] }]);
    const page = await open(`#/trace/${from}?span=aaaaaaaaaaaaaaaa`);
    await page.locator('.details a', { hasText: toSpan }).click();
    await page.locator('.row.selected', { hasText: 'producer' }).waitFor();
    await whenHash(page, new RegExp(`trace/${to}`));
    await page.close();
  });

  await check('services: the graph, its table, and a service with its charts; links to traces', async () => {
    const page = await open('#/services?since=168h');
    await page.locator('.graph .node').first().waitFor();
    const nodes = await page.locator('.graph .node').count();
    assert.ok(nodes > 15, `${nodes} services`);
    await page.getByLabel('Filter services').fill('reservation');
    await until('fewer are shown', async () => (await page.locator('.graph .node').count()) === 2);
    await page.getByRole('table').getByRole('link', { name: 'reservation' }).click();
    await page.locator('.red canvas').nth(2).waitFor();
    assert.match(await text(page, '.two'), /frontend/);
    await page.getByRole('link', { name: 'Traces', exact: true }).click();
    await hits(page).first().waitFor();
    await whenHash(page, /service=reservation/);
    await page.close();
  });

  await check('cluster: members, counters, storage, and the configuration in force', async () => {
    const page = await open('#/node');
    await page.getByRole('table', { name: 'Members' }).getByText('this node').waitFor();
    assert.match(await text(page, '.members tbody'), /online\s+★ primary/);
    assert.match(await text(page, '.timeline'), /leads, term \d+/);
    await page.locator('.yaml').waitFor();
    assert.match(await text(page, '.yaml'), /storage:/);
    assert.match(await text(page, '.tiles'), /invalid trace id/);
    await page.locator('.spark polyline').first().waitFor({ state: 'attached' });
    await page.close();
  });

  await check('compare: a trace with itself has no difference', async () => {
    const page = await open(`#/compare?a=${orphanTrace}&b=${orphanTrace}`);
    await page.locator('.diff .diff-row').first().waitFor();
    assert.match(await text(page, '.found'), /No difference/);
    await page.close();
  });

  await check('bad input: markup, controls, right-to-left, CJK, a megabyte, cycles and no root are shown, not obeyed', async () => {
    const id = randomId(16);
    const at = BigInt(Date.now()) * 1_000_000n;
    const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>';
    const made = (n, parent, name, more = {}) => ({ traceId: id, spanId: `00000000000000a${n}`, parentSpanId: parent, name, startTimeUnixNano: String(at), endTimeUnixNano: String(at + BigInt(n) * 1_000_000n), ...more });
    await node.send([
      {
        resource: { attributes: [{ key: 'service.name', value: { stringValue: `${evil} שירות` } }] },
        scopeSpans: [
          {
            scope: { name: evil },
            spans: [
              made(1, '00000000000000a2', evil, { attributes: [{ key: evil, value: { stringValue: evil } }, { key: 'big', value: { stringValue: '字'.repeat(350_000) } }, { key: 'rtl', value: { stringValue: 'safe\u202egnp.exe\u0000\u0007' } }], events: [{ name: evil, timeUnixNano: String(at) }], status: { code: 2, message: evil } }),
              made(2, '00000000000000a1', 'עברית العربية 日本語 \u202e reversed'),
              made(3, '00000000000000a3', '\u0001\u0002\n\tcontrols'),
              made(4, '00000000000000ff', ' '),
              { ...made(5, '00000000000000a1', 'years apart'), startTimeUnixNano: '1', endTimeUnixNano: '18446744073709551615' },
              { ...made(6, '00000000000000a1', 'negative'), endTimeUnixNano: String(at - 5_000_000n) },
            ],
          },
        ],
      },
    ]);
    const page = await open(`#/trace/${id}`);
    await page.locator('.row').nth(6).waitFor();
    assert.equal(await page.locator('.row').count(), 7);
    await page.locator('.row', { hasText: '<img' }).first().click();
    await page.locator('.details').waitFor();
    const details = await text(page, '.details');
    assert.ok(details.includes(evil), 'markup is shown as it is');
    assert.ok(details.includes('‹202e›'), 'a direction mark is shown as what it is');
    assert.ok(details.length < 20_000, 'a megabyte is cut');
    for (const view of ['flame', 'stats']) await page.evaluate((name) => (location.hash = location.hash.replace(/\?.*|$/, `?view=${name}`)), view);
    await page.goto(`${node.url}/#/search?since=all`);
    await hits(page).first().waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    await page.close();
  });

  await check('errors of the API say what happened, and leave the page usable', async () => {
    const page = await open('#/search?since=all&f=%7B%20nonsense%20%7D');
    assert.match(await page.getByRole('alert').first().innerText(), /nonsense/);
    await page.goto(`${node.url}/#/trace/ffffffffffffffffffffffffffffffff`);
    await page.getByText('Not found').waitFor();
    await page.getByRole('link', { name: 'To the search', exact: true }).click();
    await hits(page).first().waitFor();
    await page.close();
  });

  await check('behind a proxy path everything works', async () => {
    const proxy = createServer((asked, answer) => {
      if (!asked.url.startsWith('/deep/prefix/')) return answer.writeHead(404).end();
      const onward = request({ port: node.httpPort, host: '127.0.0.1', path: asked.url.slice('/deep/prefix'.length), method: asked.method, headers: asked.headers }, (reply) => {
        answer.writeHead(reply.statusCode, reply.headers);
        reply.pipe(answer);
      });
      onward.on('error', () => answer.writeHead(502).end());
      asked.pipe(onward);
      return undefined;
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${proxy.address().port}/deep/prefix/`;
    const page = await open('#/search?since=all', { base });
    await hits(page).first().click();
    await page.locator('.row').first().waitFor();
    await page.goto(`${base}#/services?since=168h`);
    await page.locator('.graph .node').first().waitFor();
    await page.goto(`${base}trace/${orphanTrace}`);
    await page.locator('.row').first().waitFor();
    assert.ok(page.url().startsWith(base), page.url());
    await page.close();
    proxy.closeAllConnections?.();
    proxy.close();
  });

  await check('narrow and dark: nothing sticks out, text has contrast', async () => {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 768]) {
        const page = await open('#/search?since=all', { viewport: { width, height: 720 }, colorScheme });
        for (const hash of ['#/search?since=all', `#/trace/${orphanTrace}?span=0153a596db406c83`, '#/services?since=168h', '#/service/frontend?since=168h', '#/node', `#/compare?a=${orphanTrace}&b=${skewTrace}`]) {
          await settled(page, hash);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${hash} at ${width}: ${wide} px too wide`);
        }
        await page.close();
      }
      const page = await open('#/search?since=all', { colorScheme });
      await hits(page).first().waitFor();
      const ratios = await page.evaluate(() => {
        const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
        const context = canvas.getContext('2d', { willReadFrequently: true });
        const light = (name) => {
          context.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`);
          context.fillRect(0, 0, 1, 1);
          const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const ratio = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
        const out = {};
        for (const ground of ['paper', 'surface', 'sunken', 'hover', 'selected']) for (const ink of ['ink', 'ink-quiet', 'accent', 'bad', 'warn', 'good', 'state-open']) out[`${ink} on ${ground}`] = [ratio(ink, ground), 4.5];
        for (let n = 0; n < 12; n++) {
          out[`service ${n} on paper`] = [ratio(`service-${n}`, 'paper'), 3];
          out[`text on service ${n}`] = [ratio('on-service', `service-${n}`), 4.5];
        }
        out['text on bad ground'] = [ratio('ink', 'bad-ground'), 4.5];
        out['text on warn ground'] = [ratio('ink', 'warn-ground'), 4.5];
        out['line-strong on surface'] = [ratio('line-strong', 'surface'), 3];
        return out;
      });
      for (const [what, [ratio, least]] of Object.entries(ratios)) assert.ok(ratio >= least, `${colorScheme}: ${what} has ${ratio.toFixed(2)}, wants ${least}`);
      await page.close();
    }
  });

  await check('everything that can be used has a name', async () => {
    const page = await open('#/search?since=all');
    for (const hash of ['#/search?since=all', `#/trace/${skewTrace}`, '#/services?since=168h', '#/service/frontend?since=168h', '#/node', '#/compare']) {
      await settled(page, hash);
      const nameless = await page.evaluate(() =>
        [...document.querySelectorAll('button, a[href], input, select, [role=img], [tabindex="0"]')]
          .filter((one) => !(one.getAttribute('aria-label') || one.textContent?.trim() || one.labels?.length || one.getAttribute('title')))
          .map((one) => one.outerHTML.slice(0, 120)),
      );
      assert.deepEqual(nameless, [], hash);
      assert.equal(await page.locator('h1').count(), 1, `${hash}: one heading`);
    }
    await page.close();
  });

  await check('a node that dies while the page is open: what is shown stays, and it goes on when the node is back', async () => {
    const page = await open('#/node');
    await page.locator('.yaml').waitFor();
    const trace = await open(`#/trace/${orphanTrace}`);
    await trace.locator('.row').first().waitFor();
    await node.kill();
    await page.getByText('The node does not answer', { exact: false }).first().waitFor({ timeout: 20_000 });
    assert.equal(await page.locator('.yaml').count(), 1);
    await trace.keyboard.press('j');
    await trace.locator('.row.selected').waitFor();
    await node.start();
    await page.locator('.state-complete', { hasText: 'serving' }).waitFor({ timeout: 20_000 });
    await trace.close();
    await page.close();
  });
} finally {
  await browser.close();
  await node.remove();
}
console.log(`${done} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
