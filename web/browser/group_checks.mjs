// A group of three nodes on the cluster page: an election and a member that goes are seen as they happen.
import assert from 'node:assert/strict';
import { ClewNode, until } from './harness.mjs';

export async function groupChecks(checks) {
  await checks.check('cluster of three: an election and a lost member stand in the timeline, the keys stay readable', async () => {
    const nodes = await ClewNode.group(3);
    try {
      const state = (node) => node.get('/api/clew/cluster');
      const leader = await until('there is a leader', async () => {
        const { leader: id } = await state(nodes[0]);
        return Number(id);
      });
      const watched = nodes[leader % 3]; // another one
      watched.kv('put', 'config/a', '1');
      const page = await checks.open('#/node', { base: `${watched.url}/` });
      const members = page.getByRole('table', { name: 'Members' });
      await until('all members are online', async () => (await members.locator('.state-complete').count()) === 3);
      await page.locator('.timeline', { hasText: /leads, term \d+/ }).waitFor();
      await nodes[leader - 1].kill();
      await page.locator('.timeline', { hasText: /leads from term \d+ on/ }).waitFor({ timeout: 30_000 });
      await members.getByText('offline').waitFor({ timeout: 30_000 });
      assert.equal(await page.locator('.group-problems').count(), 1);
      await page.getByRole('tab', { name: 'Key-value store' }).click();
      await page.getByRole('link', { name: 'config/' }).waitFor();
      await nodes[leader - 1].start();
      await page.getByRole('tab', { name: 'Nodes and storage' }).click();
      await until('all members are online again', async () => (await members.locator('.state-complete').count()) === 3, 60);
      await page.close();
    } finally {
      for (const node of nodes) await node.remove();
    }
  });
}
