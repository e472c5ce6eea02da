// A hundred thousand services: lists and graph stay usable, because the node chooses what is shown.
import assert from 'node:assert/strict';
import { hits, text, whenHash } from './checks.mjs';
import { randomId, until } from './harness.mjs';

const services = 100_000;
const perRequest = 5000;
const nameOf = (n) => `svc-${String(n).padStart(6, '0')}`;

export async function manyChecks(checks) {
  await checks.check('100,000 services: completion, search and graph find any of them, and no list holds them all', async () => {
    const { node } = checks;
    const at = BigInt(Date.now() - 600_000) * 1_000_000n;
    for (let from = 0; from < services; from += perRequest) {
      await node.send(
        Array.from({ length: perRequest }, (_, i) => {
          const start = at + BigInt(from + i) * 1000n;
          return { resource: { attributes: [{ key: 'service.name', value: { stringValue: nameOf(from + i) } }] }, scopeSpans: [{ spans: [{ traceId: randomId(16), spanId: randomId(8), name: 'work', kind: 2, startTimeUnixNano: String(start), endTimeUnixNano: String(start + 1000n) }] }] };
        }),
      );
    }
    const last = nameOf(services - 1);
    const middle = nameOf(31_415);
    await until('the last service is known', async () => (await node.get(`/clew/v1/names?of=services&text=${last}`)).names.includes(last), 120);
    await until('a middle one is, too', async () => (await node.get(`/clew/v1/names?of=services&text=${middle}`)).names.includes(middle), 120);
    assert.equal((await node.get('/clew/v1/names?of=services&limit=1000')).truncated, true);

    const page = await checks.open('#/search?since=all');
    page.setDefaultTimeout(60_000);
    await hits(page).first().waitFor();
    const service = page.getByRole('combobox', { name: 'Service' });
    await service.click();
    await page.getByText('more: type to find them').waitFor();
    assert.ok((await page.locator('.combo [role=option]').count()) <= 50);
    await service.pressSequentially('svc-0314', { delay: 5 });
    await page.getByRole('option', { name: middle }).waitFor();
    await service.fill(middle);
    await page.keyboard.press('Enter');
    await whenHash(page, new RegExp(`service=${middle}`));
    await page.getByText('1 trace', { exact: true }).waitFor();

    await page.goto(`${node.url}/#/services?since=24h`);
    await page.locator('.graph .node').first().waitFor();
    assert.match(await text(page, '.coverage'), /the newest of this range/);
    assert.ok((await page.locator('.graph .node').count()) <= 120);
    assert.ok((await page.locator('.sortable tbody tr').count()) <= 500);
    await page.getByLabel('Filter services').fill(middle);
    await until('the one is shown', async () => (await page.locator('.graph .node').count()) === 1);
    assert.match(await page.locator('.graph .node').getAttribute('aria-label'), new RegExp(middle));
    await page.close();
  });
}
