// Services, cluster, comparison.
import assert from 'node:assert/strict';
import { hits, orphanTrace, text, whenHash } from './checks.mjs';
import { until } from './harness.mjs';

export async function pageChecks(checks) {
  await checks.check('services: the graph, its table, and a service with its charts; links to traces', async () => {
    const page = await checks.open('#/services?since=168h');
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

  await checks.check('cluster: members, counters, storage, and the configuration in force', async () => {
    const page = await checks.open('#/node');
    await page.getByRole('table', { name: 'Members' }).getByText('this node').waitFor();
    assert.match(await text(page, '.members tbody'), /online\s+★ primary/);
    assert.match(await text(page, '.timeline'), /leads, term \d+/);
    await page.locator('.yaml').waitFor();
    assert.match(await text(page, '.yaml'), /storage:/);
    assert.match(await text(page, '.tiles'), /kept up to\s+90 % of the disk/);
    assert.match(await text(page, '.tiles'), /bytes a span\s+\d/);
    assert.match(await text(page, '.tiles'), /reopened by late spans\s+\d/);
    assert.match(await text(page, '.tiles'), /invalid trace id/);
    await page.locator('.spark polyline').first().waitFor({ state: 'attached' });
    await page.close();
  });

  await checks.check('services: the graph is zoomed, moved and fitted; a chart narrows the time', async () => {
    const page = await checks.open('#/services?since=168h');
    await page.locator('.graph .node').first().waitFor();
    const view = () => page.locator('.graph svg > g').getAttribute('transform');
    const fitted = await view();
    await page.getByRole('button', { name: 'Closer' }).click();
    await until('it is closer', async () => (await view()) !== fitted);
    const closer = await view();
    const box = await page.locator('.graph').boundingBox();
    await page.mouse.move(box.x + 300, box.y + box.height - 12);
    await page.mouse.down();
    await page.mouse.move(box.x + 360, box.y + box.height - 42, { steps: 3 });
    await page.mouse.up();
    await until('it is moved', async () => (await view()) !== closer);
    await page.getByRole('button', { name: 'All of it' }).click();
    await until('it is fitted', async () => (await view()) === fitted);
    await page.goto(`${checks.node.url}/#/service/frontend?since=24h`);
    await page.getByRole('table', { name: 'Operations' }).getByRole('link', { name: 'traces' }).click();
    await whenHash(page, /search\?service=frontend&op=HTTP.GET/);
    await page.goBack();
    const chart = page.locator('.red .u-over').first();
    await chart.waitFor();
    const place = await chart.boundingBox();
    await page.mouse.move(place.x + place.width * 0.2, place.y + 30);
    await page.mouse.down();
    await page.mouse.move(place.x + place.width * 0.99, place.y + 40, { steps: 4 });
    await page.mouse.up();
    await whenHash(page, /start=\d+&end=\d+/);
    await page.close();
  });

  await checks.check('keys: folders, pages, values as text, JSON and bytes, versions before, what is bad is shown as what it is', async () => {
    checks.node.kv('put', 'config/web/limits', '{"rps":100}');
    checks.node.kv('put', 'config/web/limits', '{"rps":200}');
    checks.node.kv('put', 'config/top', '<img src=x onerror="window.pwned=1">\u202e');
    checks.node.kv('put', 'big', 'x'.repeat(100_000));
    const page = await checks.open('#/node');
    await page.getByRole('tab', { name: 'Key-value store' }).click();
    const list = page.getByRole('list', { name: 'Keys' });
    await list.getByRole('link', { name: 'config/' }).click();
    await whenHash(page, /prefix=config\//);
    await list.getByRole('link', { name: 'top' }).click();
    await page.locator('.kv-bytes', { hasText: '<img src=x onerror="window.pwned=1">‹202e›' }).waitFor();
    await list.getByRole('link', { name: 'web/' }).click();
    await list.getByRole('link', { name: 'limits' }).click();
    await page.locator('.kv-bytes', { hasText: '"rps": 200' }).waitFor();
    assert.match(await text(page, '.kv-value .facts'), /version\s+2/);
    await page.getByRole('button', { name: 'the version before' }).click();
    await page.locator('.kv-bytes', { hasText: '"rps": 100' }).waitFor();
    await whenHash(page, /rev=\d+/);
    await page.getByRole('tab', { name: 'Hex' }).click();
    await page.locator('.kv-bytes', { hasText: '7b 22 72 70 73 22 3a 31  30 30 7d' }).waitFor();
    await page.reload();
    await page.locator('.kv-bytes', { hasText: '"rps": 100' }).waitFor();
    await page.getByRole('button', { name: 'the present' }).click();
    await page.locator('.kv-bytes', { hasText: '"rps": 200' }).waitFor();
    // By keyboard: up, down the list, and into a key.
    await page.keyboard.press('Escape');
    await page.keyboard.press('u');
    await page.keyboard.press('u');
    await whenHash(page, /^(?!.*prefix=)/);
    await list.getByRole('link', { name: 'big' }).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.getByText('The first 64 KiB of 97.7 KiB').waitFor();
    await page.getByRole('button', { name: 'show 97.7 KiB' }).click();
    await page.getByText('The first').waitFor({ state: 'detached' });
    await page.getByLabel('Revision').fill('99999999');
    await page.keyboard.press('Enter');
    await page.getByText('not come to this revision').first().waitFor();
    await page.getByLabel('Revision').fill('');
    await page.keyboard.press('Enter');
    await page.getByLabel('How new').selectOption('sequential');
    await page.locator('.keys-foot', { hasText: 'sequential' }).waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    await page.close();
  });

  await checks.check('keys: a long list is paged as it is scrolled', async () => {
    for (let n = 0; n < 5; n++) checks.node.kv('txn', '--then', ...Array.from({ length: 100 }, (_, i) => `put pages/${String(n * 100 + i).padStart(4, '0')} v`));
    const page = await checks.open('#/node?view=keys&prefix=pages/');
    await page.locator('.keys-foot', { hasText: '200 and more below' }).waitFor();
    const list = page.locator('.kv-rows');
    await until('all are loaded', async () => {
      await list.evaluate((one) => (one.scrollTop = one.scrollHeight));
      return /^500 ·/.test(await text(page, '.keys-foot'));
    });
    await page.getByRole('link', { name: '0499' }).waitFor();
    await page.close();
  });

  await checks.check('compare: what differs between two traces is told, and alone on request', async () => {
    const found = (await checks.node.get('/clew/v1/search?service=frontend&limit=50')).hits;
    const [a, b] = [found[0].traceID, orphanTrace];
    const page = await checks.open(`#/compare?a=${a}&b=${b}`);
    await page.locator('.diff .diff-row').first().waitFor();
    assert.match(await text(page, '.found'), /only in A: \d+/);
    assert.match(await text(page, '.found'), /only in B: \d+/);
    await page.getByLabel('only what differs').check();
    await page.getByRole('button', { name: 'Swap A and B' }).click();
    await whenHash(page, new RegExp(`a=${b}&b=${a}`));
    await page.close();
  });

  await checks.check('compare: a trace with itself has no difference', async () => {
    const page = await checks.open(`#/compare?a=${orphanTrace}&b=${orphanTrace}`);
    await page.locator('.diff .diff-row').first().waitFor();
    assert.match(await text(page, '.found'), /No difference/);
    await page.close();
  });
}
