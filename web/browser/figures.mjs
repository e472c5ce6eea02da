// The figures of docs/web.md, measured in the browser. usage: node figures.mjs [--json] [--quick]
// A time "after the bytes arrived" begins when the last byte of the answer is there (PerformanceResourceTiming.responseEnd)
// and ends with the frame that shows the rows. Frames are the distances between animation frames while the list scrolls.
//
// Each figure is the median of its runs; the lowest run stands beside it, because what else the machine does can only add
// to a time. The load of the machine is told: on a busy one the median says more about the load than about the page.
import { cpus, loadavg } from 'node:os';
import { ClewNode, launch, needBrowser, sendBig, until } from './harness.mjs';

needBrowser();
const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const node = await ClewNode.create();
const browser = await launch();
const figures = { processors: cpus().length, load_before: loadavg()[0] };
const lowest = (all) => Math.min(...all);
const median = (all) => [...all].sort((a, b) => a - b)[all.length >> 1];

// A window that stands still: what the browser does to open one is not the page's.
async function fresh() {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const page = await context.newPage();
  await page.evaluate(async () => {
    for (let n = 0; n < 5; n++) await new Promise((resolve) => requestIdleCallback(resolve));
  });
  return { context, page };
}

// From the answer's last byte to the frame after the first row stands in the document.
const drawn = (page, part) =>
  page.evaluate(async (wanted) => {
    while (!document.querySelector('.row')) await new Promise((resolve) => requestAnimationFrame(resolve));
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    const answer = performance.getEntriesByType('resource').find((one) => one.name.includes(wanted));
    return { took: performance.now() - answer.responseEnd, transfer: answer.responseEnd - answer.startTime, bytes: answer.decodedBodySize };
  }, part);

// The processor time of the page's main thread for one step, whatever else the machine does meanwhile: the longest of 60
// steps by wheel and 60 leaps.
async function stepCost(page, steps) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const spent = async () => (await session.send('Performance.getMetrics')).metrics.find((one) => one.name === 'TaskDuration').value * 1e3;
  const costs = [];
  for (let i = 0; i < steps; i++) {
    const before = await spent();
    await page.evaluate(async ([at, count]) => {
      const rows = document.querySelector('.rows');
      rows.scrollTop = at < count / 2 ? rows.scrollTop + 90 : (rows.scrollHeight * ((at * 7919) % count)) / count;
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
    }, [i, steps]);
    costs.push((await spent()) - before);
  }
  costs.sort((a, b) => a - b);
  return { cpu_longest_ms: costs[costs.length - 1], cpu_median_ms: costs[costs.length >> 1] };
}

// Scrolls the rows like a wheel that does not stop, then in leaps, and tells the frames.
const scrolled = (page, frames) =>
  page.evaluate(async (count) => {
    const rows = document.querySelector('.rows');
    const times = [];
    let last = await new Promise((resolve) => requestAnimationFrame(resolve));
    for (let i = 0; i < count; i++) {
      rows.scrollTop = i < count / 2 ? rows.scrollTop + 90 : (rows.scrollHeight * ((i * 7919) % count)) / count;
      const now = await new Promise((resolve) => requestAnimationFrame(resolve));
      times.push(now - last);
      last = now;
    }
    times.sort((a, b) => a - b);
    return { longest: times[times.length - 1], p99: times[Math.floor(times.length * 0.99)], median: times[times.length >> 1] };
  }, frames);

try {
  await node.start();
  node.importSamples();
  const runs = quick ? 1 : 7;
  const search = [];
  const cpu = [];
  for (let run = 0; run < runs; run++) {
    const { context, page } = await fresh();
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    await page.goto(`${node.url}/#/search?since=all`);
    search.push(
      await page.evaluate(async () => {
        while (!document.querySelector('.hit')) await new Promise((resolve) => requestAnimationFrame(resolve));
        await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
        return performance.now();
      }),
    );
    cpu.push((await session.send('Performance.getMetrics')).metrics.find((one) => one.name === 'TaskDuration').value * 1e3);
    if (run === 0) {
      const loaded = await page.evaluate(() => performance.getEntriesByType('resource').filter((one) => /\.(js|css)$/.test(one.name)).map((one) => [one.name.replace(/.*\//, ''), one.encodedBodySize, one.decodedBodySize]));
      figures.script_bytes = loaded.filter(([name]) => name.endsWith('.js')).reduce((sum, [, packed]) => sum + packed, 0);
      figures.style_bytes = loaded.filter(([name]) => name.endsWith('.css')).reduce((sum, [, packed]) => sum + packed, 0);
    }
    await context.close();
  }
  figures.search_usable_ms = median(search);
  figures.search_usable_lowest_ms = lowest(search);
  figures.search_cpu_ms = median(cpu);

  for (const count of quick ? [1000] : [10_000, 100_000]) {
    const id = await sendBig(node, count);
    const all = [];
    for (let run = 0; run < (quick ? 1 : 5); run++) {
      const { context, page } = await fresh();
      page.setDefaultTimeout(120_000);
      await page.goto(`${node.url}/#/search?since=5m`);
      await page.locator('.hit').first().waitFor();
      await page.evaluate((trace) => (location.hash = `#/trace/${trace}`), id);
      const first = await drawn(page, `traces/${id}`);
      // The scrolling is measured when the page stands still.
      await until('the minimap is drawn', () => page.evaluate(() => document.querySelector('.minimap canvas').width > 300));
      await page.evaluate(() => new Promise((resolve) => requestIdleCallback(resolve)));
      const frames = await scrolled(page, quick ? 60 : 400);
      all.push({ ...first, ...frames, ...(await stepCost(page, quick ? 10 : 120)) });
      await context.close();
    }
    figures[`spans_${count}`] = {
      drawn_ms: median(all.map((one) => one.took)),
      answer_bytes: all[0].bytes,
      answer_ms: median(all.map((one) => one.transfer)),
      drawn_lowest_ms: lowest(all.map((one) => one.took)),
      frame_longest_ms: median(all.map((one) => one.longest)),
      frame_longest_lowest_ms: lowest(all.map((one) => one.longest)),
      frame_p99_ms: median(all.map((one) => one.p99)),
      frame_median_ms: median(all.map((one) => one.median)),
      cpu_longest_ms: median(all.map((one) => one.cpu_longest_ms)),
      cpu_median_ms: median(all.map((one) => one.cpu_median_ms)),
    };
  }
  figures.load_after = loadavg()[0];
} finally {
  await browser.close();
  await node.remove();
}

if (json) {
  console.log(JSON.stringify(figures));
} else {
  const ms = (n) => `${n < 10 ? n.toFixed(1) : Math.round(n)} ms`;
  console.log(`${figures.processors} processors, load ${figures.load_before.toFixed(1)} before and ${figures.load_after.toFixed(1)} after; medians, in brackets the lowest run`);
  console.log(`first load: ${(figures.script_bytes / 1024).toFixed(1)} KiB of JavaScript and ${(figures.style_bytes / 1024).toFixed(1)} KiB of CSS, compressed`);
  console.log(`search page: usable after ${ms(figures.search_usable_ms)} (${ms(figures.search_usable_lowest_ms)}), ${ms(figures.search_cpu_ms)} of them processor time of the page`);
  for (const [name, one] of Object.entries(figures)) {
    if (!name.startsWith('spans_')) continue;
    console.log(`${name.slice(6)} spans: drawn ${ms(one.drawn_ms)} (${ms(one.drawn_lowest_ms)}) after the bytes (${(one.answer_bytes / 2 ** 20).toFixed(1)} MiB, which took ${ms(one.answer_ms)}); scrolling: longest frame ${ms(one.frame_longest_ms)} (${ms(one.frame_longest_lowest_ms)}), p99 ${ms(one.frame_p99_ms)}, median ${ms(one.frame_median_ms)}; processor time of a step: longest ${ms(one.cpu_longest_ms)}, median ${ms(one.cpu_median_ms)}`);
  }
}
