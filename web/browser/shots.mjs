// The pictures of the documents, of the sample traces. usage: node shots.mjs OUT-DIRECTORY
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { ClewNode, launch, needBrowser, until } from './harness.mjs';

needBrowser();
const [out = 'docs/images'] = process.argv.slice(2);
mkdirSync(out, { recursive: true });
const node = await ClewNode.create();
const browser = await launch();
const shots = [
  ['search', '#/search?since=all', '.hit', 'light', []],
  ['trace-incomplete', '#/trace/00000000000000000d1a94ebc9256244', '.row.ghost', 'light', []],
  ['trace-clocks', '#/trace/00000000000000001e223ff1f80f1c69?clock=corrected', '.row', 'dark', []],
  ['trace', '', '.row', 'dark', ['c', 'j', 'j']],
  ['services', '#/services?since=168h', '.graph .node', 'light', []],
  ['service', '#/service/frontend?since=15m', '.red canvas', 'light', []],
  ['cluster', '#/node', '.tiles', 'light', []],
  ['keys', '#/node?view=keys&prefix=config/checkout/&key=config/checkout/limits', '.kv-bytes', 'dark', []],
];

try {
  await node.start();
  node.importSamples();
  await until('the samples are decided', async () => (await node.get('/clew/v1/search?state=complete&limit=100')).hits.length >= 40, 60);
  node.kv('put', 'config/checkout/limits', '{"requests_per_second": 200, "burst": [20, 50], "tenants": {"trial": {"requests_per_second": 5}}}');
  node.kv('put', 'config/checkout/limits', '{"requests_per_second": 250, "burst": [20, 50], "tenants": {"trial": {"requests_per_second": 5}}}');
  for (const [key, value] of [['endpoints/eu-1', '10.1.0.7:8443'], ['endpoints/eu-2', '10.2.0.7:8443'], ['features', 'beta'], ['owner', 'team-payments']]) node.kv('put', `config/checkout/${key}`, value);
  const composed = (await node.get('/clew/v1/search?service=compose-post-service&limit=1')).hits[0].traceID;
  for (const [name, hash, selector, colorScheme, keys] of shots) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 760 }, colorScheme, timezoneId: 'UTC' });
    await page.goto(`${node.url}/${hash || `#/trace/${composed}`}`);
    await page.locator(selector).first().waitFor();
    for (const key of keys) await page.keyboard.press(key);
    await page.evaluate(() => document.fonts.ready.then(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))));
    await page.screenshot({ path: join(out, `${name}.png`) });
    await page.close();
    console.log(join(out, `${name}.png`));
  }
} finally {
  await browser.close();
  await node.remove();
}
