// What the checks in a browser share: pages that complain are failures, and one line a check.
import assert from 'node:assert/strict';

export const orphanTrace = '00000000000000000d1a94ebc9256244';
export const skewTrace = '00000000000000001e223ff1f80f1c69';

export const hits = (page) => page.locator('.hit');
export const text = (page, selector) => page.locator(selector).first().innerText();
export const whenHash = (page, pattern) => page.waitForFunction((source) => new RegExp(source).test(decodeURIComponent(location.hash)), pattern.source);
// Two frames later: what was changed is drawn.
export const framed = (page) => page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));

// Goes to another page of the open one, and waits until it shows what it has.
export async function settled(page, hash) {
  await page.evaluate((next) => (location.hash = next), hash);
  await page.waitForFunction((next) => location.hash === next && document.querySelector(`main.page-${next.split(/[/?]/)[1]} h1`) && !document.querySelector('.loading'), hash);
  await framed(page);
}

export class Checks {
  constructor(node, browser, only) {
    Object.assign(this, { node, browser, only, complaints: [], failed: 0, done: 0 });
  }

  // A page of the node, or of `base`. What its browser complains about fails the check that is running.
  async open(hash = '', { base, ...options } = {}) {
    const page = await this.browser.newPage({ viewport: { width: 1280, height: 800 }, ...options });
    page.on('pageerror', (error) => this.complaints.push(`${hash}: ${error.message}`));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) this.complaints.push(`${hash}: ${message.text()}`);
    });
    page.on('request', (asked) => {
      if (!/^(https?:\/\/127\.0\.0\.1:|data:)/.test(asked.url())) this.complaints.push(`${hash}: asked ${asked.url()}`);
    });
    await page.goto(`${base ?? `${this.node.url}/`}${hash}`);
    return page;
  }

  async check(name, run) {
    if (this.only && !name.includes(this.only)) return;
    const before = this.complaints.length;
    try {
      await run();
      const said = this.complaints.slice(before);
      assert.deepEqual(said, [], 'the browser complained');
      this.done += 1;
      console.log(`ok      ${name}`);
    } catch (error) {
      this.failed += 1;
      console.log(`FAILED  ${name}\n        ${String(error.stack ?? error).split('\n').slice(0, 6).join('\n        ')}`);
    }
  }
}
