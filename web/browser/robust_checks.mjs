// Bad input, errors, proxies, narrow windows, dark mode, names, a node that dies.
import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import { hits, orphanTrace, settled, skewTrace, text } from './checks.mjs';
import { randomId } from './harness.mjs';

export async function robustChecks(checks) {
  await checks.check('bad input: markup, controls, right-to-left, CJK, a megabyte, cycles and no root are shown, not obeyed', async () => {
    const id = randomId(16);
    const at = BigInt(Date.now()) * 1_000_000n;
    const evil = '<img src=x onerror="window.pwned=1"><script>window.pwned=2</script>';
    const made = (n, parent, name, more = {}) => ({ traceId: id, spanId: `00000000000000a${n}`, parentSpanId: parent, name, startTimeUnixNano: String(at), endTimeUnixNano: String(at + BigInt(n) * 1_000_000n), ...more });
    await checks.node.send([
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
    const page = await checks.open(`#/trace/${id}`);
    await page.locator('.row').nth(6).waitFor();
    assert.equal(await page.locator('.row').count(), 7);
    await page.locator('.row', { hasText: '<img' }).first().click();
    await page.locator('.details').waitFor();
    const details = await text(page, '.details');
    assert.ok(details.includes(evil), 'markup is shown as it is');
    assert.ok(details.includes('‹202e›'), 'a direction mark is shown as what it is');
    assert.ok(details.length < 20_000, 'a megabyte is cut');
    for (const view of ['flame', 'stats']) await page.evaluate((name) => (location.hash = location.hash.replace(/\?.*|$/, `?view=${name}`)), view);
    const small = await checks.open(`#/trace/${id}?span=00000000000000a1`, { viewport: { width: 390, height: 780 } });
    await small.locator('.details').waitFor();
    assert.ok(await small.locator('.details').evaluate((one) => one.scrollWidth <= one.clientWidth), 'long names without a space stay within the window');
    await small.close();
    await page.goto(`${checks.node.url}/#/search?since=all`);
    await hits(page).first().waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
    await page.close();
  });

  await checks.check('errors of the API say what happened, and leave the page usable', async () => {
    const page = await checks.open('#/search?since=all&f=%7B%20nonsense%20%7D');
    assert.match(await page.getByRole('alert').first().innerText(), /nonsense/);
    await page.goto(`${checks.node.url}/#/trace/ffffffffffffffffffffffffffffffff`);
    await page.getByText('Not found').waitFor();
    await page.getByRole('link', { name: 'To the search', exact: true }).click();
    await hits(page).first().waitFor();
    await page.close();
  });

  await checks.check('behind a proxy path everything works', async () => {
    const proxy = createServer((asked, answer) => {
      if (!asked.url.startsWith('/deep/prefix/')) return answer.writeHead(404).end();
      const onward = request({ port: checks.node.httpPort, host: '127.0.0.1', path: asked.url.slice('/deep/prefix'.length), method: asked.method, headers: asked.headers }, (reply) => {
        answer.writeHead(reply.statusCode, reply.headers);
        reply.pipe(answer);
      });
      onward.on('error', () => answer.writeHead(502).end());
      asked.pipe(onward);
      return undefined;
    });
    await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${proxy.address().port}/deep/prefix/`;
    const page = await checks.open('#/search?since=all', { base });
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

  await checks.check('narrow and dark: nothing sticks out, text has contrast', async () => {
    for (const colorScheme of ['light', 'dark']) {
      for (const width of [360, 768]) {
        const page = await checks.open('#/search?since=all', { viewport: { width, height: 720 }, colorScheme });
        for (const hash of ['#/search?since=all', `#/trace/${orphanTrace}?span=0153a596db406c83`, '#/services?since=168h', '#/service/frontend?since=168h', '#/node', '#/node?view=keys', `#/compare?a=${orphanTrace}&b=${skewTrace}`]) {
          await settled(page, hash);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${hash} at ${width}: ${wide} px too wide`);
          const clipped = await page.evaluate(() => [...document.querySelectorAll('.details, .verdict, .kv-value')].filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.className));
          assert.deepEqual(clipped, [], `${hash} at ${width}: parts that stick out of their boxes`);
        }
        await page.keyboard.press('?');
        const sheet = page.locator('dialog.help');
        assert.ok(await sheet.evaluate((one) => one.scrollWidth <= one.clientWidth), `the sheet of keys at ${width}`);
        await page.close();
      }
      const page = await checks.open('#/search?since=all', { colorScheme });
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

  await checks.check('everything that can be used has a name', async () => {
    const page = await checks.open('#/search?since=all');
    for (const hash of ['#/search?since=all', `#/trace/${skewTrace}`, '#/services?since=168h', '#/service/frontend?since=168h', '#/node', '#/node?view=keys', '#/compare']) {
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
}

// The last one, because the node is another afterwards.
export async function deathChecks(checks) {
  await checks.check('a node that dies while the page is open: what is shown stays, and it goes on when the node is back', async () => {
    const page = await checks.open('#/node');
    await page.locator('.yaml').waitFor();
    const trace = await checks.open(`#/trace/${orphanTrace}`);
    await trace.locator('.row').first().waitFor();
    await checks.node.kill();
    await page.getByText('The node does not answer', { exact: false }).first().waitFor({ timeout: 20_000 });
    assert.equal(await page.locator('.yaml').count(), 1);
    await trace.keyboard.press('j');
    await trace.locator('.row.selected').waitFor();
    await checks.node.start();
    await page.locator('.state-complete', { hasText: 'serving' }).waitFor({ timeout: 20_000 });
    await trace.close();
    await page.close();
  });
}
