// Each screen and its interactions in a real browser against a real node: see the names of the checks.
// usage: node smoke.mjs [PART OF A CHECK'S NAME]
import assert from 'node:assert/strict';
import { Checks, hits, text } from './checks.mjs';
import { groupChecks } from './group_checks.mjs';
import { ClewNode, launch, needBrowser, randomId, until } from './harness.mjs';
import { manyChecks } from './many_checks.mjs';
import { pageChecks } from './page_checks.mjs';
import { deathChecks, robustChecks } from './robust_checks.mjs';
import { searchChecks } from './search_checks.mjs';
import { traceChecks } from './trace_checks.mjs';

needBrowser();
const node = await ClewNode.create();
const browser = await launch();
const checks = new Checks(node, browser, process.argv[2]);

try {
  await node.start();

  await checks.check('an empty node helps to send the first span, and goes on when it came', async () => {
    const page = await checks.open();
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

  checks.traces = (await node.get('/clew/v1/search?limit=1000')).hits.length;

  await searchChecks(checks);
  await traceChecks(checks);
  await pageChecks(checks);
  await groupChecks(checks);
  await robustChecks(checks);
  await manyChecks(checks);
  await deathChecks(checks);
} finally {
  await browser.close();
  await node.remove();
}
console.log(`${checks.done} passed, ${checks.failed} failed`);
process.exit(checks.failed ? 1 : 0);
