// The search page: conditions, plot, list, live tail.
import assert from 'node:assert/strict';
import { framed, hits, text, whenHash } from './checks.mjs';
import { randomId, until } from './harness.mjs';

export async function searchChecks(checks) {
  await checks.check('search: what is typed becomes the address, and the address the search', async () => {
    const page = await checks.open('#/search?since=all');
    await page.getByText(`${checks.traces} traces`).waitFor();
    await page.getByLabel('Service', { exact: true }).fill('serv');
    await page.keyboard.press('ArrowDown');
    await page.keyboard.press('Enter');
    await whenHash(page, /service=servicea/);
    await page.getByText('1 trace', { exact: true }).waitFor();
    await page.reload();
    await page.getByText('1 trace', { exact: true }).waitFor();
    assert.equal(await page.getByLabel('Service', { exact: true }).inputValue(), 'servicea');
    await page.goBack();
    await page.getByText(`${checks.traces} traces`).waitFor();
    await page.close();
  });

  await checks.check('search: verdict, finding, duration, errors and attributes narrow it', async () => {
    const page = await checks.open('#/search?since=all');
    await page.getByText(`${checks.traces} traces`).waitFor();
    await page.getByLabel('Verdict').selectOption('incomplete');
    await page.getByText('2 traces').waitFor();
    await page.getByLabel('Finding').selectOption('no_root');
    await page.getByText('1 trace', { exact: true }).waitFor();
    await page.getByLabel('Finding').selectOption('');
    await page.getByLabel('Verdict').selectOption('');
    await page.getByLabel('Shortest duration').fill('3s');
    await page.keyboard.press('Enter');
    await whenHash(page, /min=3s/);
    await until('few are that long', async () => (await hits(page).count()) < checks.traces);
    await page.getByLabel('Shortest duration').fill('soon');
    await page.keyboard.press('Enter');
    assert.match(await page.getByRole('alert').innerText(), /no duration/);
    await page.close();
  });

  await checks.check('search: the filter completes names and values by keyboard', async () => {
    const page = await checks.open('#/search?since=all');
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

  await checks.check('search: dragging on the plot narrows the time range', async () => {
    const page = await checks.open('#/search?since=all');
    await page.getByText(`${checks.traces} traces`).waitFor();
    const plot = page.locator('.u-over');
    const box = await plot.boundingBox();
    await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.9, box.y + 60, { steps: 5 });
    await page.mouse.up();
    await whenHash(page, /start=\d+&end=\d+/);
    await page.close();
  });

  await checks.check('search: quick ranges and an absolute one, and the link brings them back', async () => {
    const page = await checks.open('#/search');
    await hits(page).first().waitFor();
    await page.locator('.range > button').click();
    await page.getByRole('button', { name: 'last 6 hours' }).click();
    await whenHash(page, /since=6h/);
    await page.locator('.range > button').click();
    await page.getByLabel('From', { exact: true }).fill('tomorrow');
    await page.getByRole('button', { name: 'Use' }).click();
    assert.match(await page.getByRole('alert').innerText(), /Write a time/);
    await page.getByLabel('From', { exact: true }).fill('2001-02-03T04:05:06Z');
    await page.getByLabel('To', { exact: true }).fill('2001-02-03T05:00:00Z');
    await page.getByRole('button', { name: 'Use' }).click();
    await whenHash(page, /start=981173106000&end=981176400000/);
    await page.getByText('No trace fits').waitFor();
    await page.reload();
    await page.getByText('No trace fits').waitFor();
    await page.getByRole('button', { name: 'Search all times' }).click();
    await hits(page).first().waitFor();
    await page.close();
  });

  await checks.check('search: a click on a point of the plot opens its trace', async () => {
    const { hits: found } = await checks.node.get('/clew/v1/search?service=servicea&limit=1');
    const page = await checks.open('#/search?since=all&service=servicea');
    const box = await page.locator('.u-over').boundingBox();
    // The only point stands in the middle of its own time; up and down it is looked for.
    for (let y = 4; y < box.height; y += 8) {
      await page.mouse.move(box.x + box.width / 2, box.y + y);
      await framed(page);
      if ((await page.locator('.tip').count()) > 0) break;
    }
    assert.match(await text(page, '.tip'), /servicea: get\s+162 ms, 4 spans/);
    await page.mouse.down();
    await page.mouse.up();
    await whenHash(page, new RegExp(`trace/${found[0].traceID}`));
    await page.locator('.row').first().waitFor();
    await page.close();
  });

  await checks.check('search: the list loads as it is scrolled, and holds each trace once while traces come', async () => {
    const at = BigInt(Date.now() - 3_600_000 * 30) * 1_000_000n;
    const many = (n, from) => Array.from({ length: n }, (_, i) => ({ traceId: randomId(16), spanId: randomId(8), name: `n${from + i}`, startTimeUnixNano: String(at + BigInt(from + i) * 1_000_000n), endTimeUnixNano: String(at + BigInt(from + i) * 1_000_000n + 5n) }));
    const tenant = { 'X-Scope-OrgID': 'paged' };
    await checks.node.send([{ scopeSpans: [{ spans: many(450, 0) }] }], tenant);
    await until('they can be found', async () => (await checks.node.get('/clew/v1/search?limit=1000', tenant)).hits.length === 450);
    const page = await checks.open('#/search?since=all');
    await page.getByRole('button', { name: 'Settings' }).click();
    await page.getByLabel('Tenant').fill('paged');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Escape');
    await page.getByText('200 traces, and more below').waitFor();
    await checks.node.send([{ scopeSpans: [{ spans: many(10, 1000) }] }], tenant);
    const list = page.locator('.hits');
    await until('all are loaded', async () => {
      await list.evaluate((one) => (one.scrollTop = one.scrollHeight));
      return /^450 traces$/.test((await page.locator('.found span').first().innerText()).trim());
    });
    await list.evaluate((one) => (one.scrollTop = one.scrollHeight));
    await page.locator('.hit', { hasText: /n0\D/ }).waitFor();
    await page.close();
  });

  await checks.check('search by keyboard alone: rows, marks, compare', async () => {
    const page = await checks.open('#/search?since=all&service=frontend');
    await hits(page).nth(3).waitFor();
    for (const key of ['j', 'x', 'j', 'x']) await page.keyboard.press(key);
    await page.getByRole('link', { name: 'Compare the 2 marked traces' }).click();
    await page.locator('.diff .diff-row').first().waitFor();
    assert.match(await text(page, '.diff'), /HTTP GET/);
    await page.close();
  });

  await checks.check('live tail shows a trace that comes', async () => {
    const page = await checks.open('#/search?since=all&live=1');
    await page.getByText(`${checks.traces} traces · live`).waitFor();
    const now = `${Date.now()}000000`;
    await checks.node.send([{ resource: { attributes: [{ key: 'service.name', value: { stringValue: 'tail' } }] }, scopeSpans: [{ spans: [{ traceId: randomId(16), spanId: randomId(8), name: 'arrived', startTimeUnixNano: now, endTimeUnixNano: now }] }] }]);
    await page.getByText('arrived').waitFor();
    await page.close();
  });
}
