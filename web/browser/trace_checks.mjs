// A trace: verdict, waterfall, clocks, late spans, links.
import assert from 'node:assert/strict';
import { orphanTrace, skewTrace, text, whenHash } from './checks.mjs';
import { randomId, until } from './harness.mjs';

export async function traceChecks(checks) {
  await checks.check('trace: verdict, findings and ghosts of an incomplete trace; a finding leads to its span', async () => {
    const page = await checks.open(`#/trace/${orphanTrace}`);
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

  await checks.check('trace by keyboard alone: rows, folding, focus, views, critical path, search', async () => {
    const id = (await checks.node.get('/clew/v1/search?service=compose-post-service&limit=1')).hits[0].traceID;
    const page = await checks.open(`#/trace/${id}`);
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

  await checks.check('trace: the minimap chooses a window, a click closes a row, details say everything', async () => {
    const id = (await checks.node.get('/clew/v1/search?service=compose-post-service&limit=1')).hits[0].traceID;
    const page = await checks.open(`#/trace/${id}`);
    await page.locator('.row').first().waitFor();
    const box = await page.locator('.minimap').boundingBox();
    await page.mouse.move(box.x + box.width * 0.25, box.y + 20);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.5, box.y + 30, { steps: 4 });
    await page.mouse.up();
    await whenHash(page, /z=\d+-\d+/);
    await page.getByRole('button', { name: 'show all' }).click();
    const rows = () => page.locator('.rows').getAttribute('aria-rowcount').then(Number);
    const all = await rows();
    await page.locator('.row .fold').nth(3).click();
    await until('the row is closed', async () => (await rows()) < all);
    await page.getByRole('button', { name: 'open all' }).click();
    await until('all rows are open', async () => (await rows()) === all);
    await page.getByRole('tab', { name: 'Flame graph' }).click();
    const flame = await page.locator('.flame canvas').boundingBox();
    await page.mouse.dblclick(flame.x + 20, flame.y + 10);
    await page.locator('.details').waitFor();
    await page.getByRole('tab', { name: 'Statistics' }).click();
    await page.getByRole('table', { name: 'Statistics' }).getByRole('button').nth(5).click();
    await page.close();
  });

  await checks.check('trace: details have attributes, events, links, process, resource and scope; what is copied is whole', async () => {
    const id = randomId(16);
    const at = BigInt(Date.now()) * 1_000_000n;
    const long = 'long '.repeat(2000);
    await checks.node.send([
      {
        resource: { attributes: ['service.name=told', 'process.pid=4711', 'host.name=h1', 'deployment.environment=test'].map((pair) => ({ key: pair.split('=')[0], value: { stringValue: pair.split('=')[1] } })) },
        scopeSpans: [{ scope: { name: 'the.library', version: '1.2.3' }, spans: [{ traceId: id, spanId: '00000000000000c1', name: 'told', kind: 2, startTimeUnixNano: String(at), endTimeUnixNano: String(at + 9_000_000n), attributes: [{ key: 'long', value: { stringValue: long } }, { key: 'list', value: { arrayValue: { values: [{ intValue: '1' }, { boolValue: true }] } } }], events: [{ name: 'thrown', timeUnixNano: String(at + 4_000_000n), attributes: [{ key: 'exception.type', value: { stringValue: 'E' } }] }], links: [{ traceId: randomId(16), spanId: randomId(8) }], status: { code: 2, message: 'went wrong' } }] }],
      },
    ]);
    const context = await checks.browser.newContext({ permissions: ['clipboard-read', 'clipboard-write'], viewport: { width: 1280, height: 800 } });
    const page = await context.newPage();
    await page.goto(`${checks.node.url}/#/trace/${id}?span=00000000000000c1`);
    await page.locator('.details').waitFor();
    for (const closed of ['Process', 'Resource', 'Scope']) await page.locator('.details summary', { hasText: closed }).click();
    const details = await text(page, '.details');
    for (const wanted of ['went wrong', 'list', '[1,true]', 'thrown', '+ 4 ms in the span', 'exception.type', 'process.pid', '4711', 'deployment.environment', 'the.library', '1.2.3', 'show all']) assert.ok(details.includes(wanted), `${wanted}: ${details}`);
    const copied = async (button, within = page) => {
      await within.getByRole('button', { name: button, exact: true }).click();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    const head = page.locator('.trace-head');
    await page.locator('.trace-head .actions button').first().click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), id);
    assert.equal(JSON.parse(await copied('JSON', head)).resourceSpans[0].scopeSpans[0].spans[0].name, 'told');
    assert.match(await copied('curl', head), new RegExp(`^curl '${checks.node.url}/clew/v1/traces/${id}'$`));
    assert.match(await copied('clew', head), new RegExp(`^clew trace --server 127\\.0\\.0\\.1:\\d+ ${id}$`));
    assert.equal(await copied('copy', page.locator('.details')), long, 'the value, though it is cut on the page');
    await context.close();
  });

  await checks.check('trace: clocks raw and corrected, with the estimate and its evidence', async () => {
    const page = await checks.open(`#/trace/${skewTrace}`);
    await page.locator('.row').first().waitFor();
    assert.match(await text(page, '.skew'), /serviceb\s+servicea\s+65\.4 ms behind\s+481 µs\s+1/);
    const left = () => page.locator('.row', { hasText: 'serviceb' }).first().locator('.bar').evaluate((bar) => bar.style.left);
    const raw = await left();
    await page.keyboard.press('t');
    await until('the bar moved', async () => (await left()) !== raw);
    await whenHash(page, /clock=corrected/);
    await page.close();
  });

  await checks.check('trace: late spans reopen it, the page says so, and the history tells', async () => {
    const id = randomId(16);
    const root = randomId(8);
    const at = BigInt(Date.now() - 5000) * 1_000_000n;
    const send = (spanId, parentSpanId) => checks.node.send([{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'late' } }] }, scopeSpans: [{ spans: [{ traceId: id, spanId, parentSpanId, name: 'work', startTimeUnixNano: String(at), endTimeUnixNano: String(at + 1000000n) }] }] }]);
    await send(root, '');
    const page = await checks.open(`#/trace/${id}`);
    await page.locator('.row').first().waitFor();
    await page.locator('.verdict-toggle .state-complete').waitFor({ timeout: 20_000 });
    await send(randomId(8), root);
    await page.getByText('1 more span came').waitFor({ timeout: 30_000 });
    await page.getByRole('button', { name: 'Show them' }).click();
    await until('both are shown', async () => (await page.locator('.row').count()) === 2);
    if ((await page.locator('.lateness').count()) === 0) await page.keyboard.press('v');
    await page.locator('.lateness span').nth(1).waitFor({ timeout: 30_000 });
    assert.match(await page.locator('.lateness').getAttribute('aria-label'), /2 verdicts within .*; 1 late span/);
    assert.match(await text(page, '.history ol'), /1 late span/);
    await page.close();
  });

  await checks.check('links lead to the other trace', async () => {
    const [from, to, toSpan] = [randomId(16), randomId(16), randomId(8)];
    const now = `${Date.now()}000000`;
    const one = (traceId, spanId, links) => ({ traceId, spanId, name: links.length ? 'consumer' : 'producer', startTimeUnixNano: now, endTimeUnixNano: now, links });
    await checks.node.send([{ resource: {}, scopeSpans: [{ spans: [one(from, 'aaaaaaaaaaaaaaaa', [{ traceId: to, spanId: toSpan }]), one(to, toSpan, [])] }] }]);
    const page = await checks.open(`#/trace/${from}?span=aaaaaaaaaaaaaaaa`);
    await page.locator('.details a', { hasText: toSpan }).click();
    await page.locator('.row.selected', { hasText: 'producer' }).waitFor();
    await whenHash(page, new RegExp(`trace/${to}`));
    await page.close();
  });
}
