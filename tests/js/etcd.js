// The npm package etcd3 against one endpoint: what an application does with it. Prints "ok" or what differed.
const { Etcd3, EtcdLeaseInvalidError } = require("etcd3");
const assert = require("assert");

async function main(endpoint) {
  const client = new Etcd3({ hosts: endpoint });
  await client.delete().all();

  await client.put("plain").value("größer");
  assert.strictEqual(await client.get("plain").string(), "größer");
  assert.strictEqual(await client.get("absent").string(), null);
  const binary = Buffer.from([0, 255, 10, 0]);
  await client.put("binary").value(binary);
  assert.ok((await client.get("binary").buffer()).equals(binary));

  for (let i = 0; i < 50; i++) await client.put(`range/${String(i).padStart(2, "0")}`).value(i);
  assert.strictEqual(await client.getAll().prefix("range/").count(), 50);
  assert.deepStrictEqual(await client.getAll().prefix("range/").sort("Key", "Descend").limit(2).keys(), ["range/49", "range/48"]);
  const deleted = await client.delete().inRange({ start: "range/10", end: "range/20" });
  assert.strictEqual(deleted.deleted, "10");
  const previous = await client.put("plain").value("2").getPrevious();
  assert.strictEqual(previous.value.toString(), "größer");

  const won = await client.if("plain", "Value", "==", "2").then(client.put("won").value("yes")).else(client.put("won").value("no")).commit();
  assert.strictEqual(won.succeeded, true);
  assert.strictEqual(await client.get("won").string(), "yes");

  const watcher = await client.watch().prefix("watched/").create();
  const seen = [];
  const all = new Promise((resolve) => {
    watcher.on("put", (kv) => { seen.push(`put ${kv.key} ${kv.value}`); if (seen.length === 3) resolve(); });
    watcher.on("delete", (kv) => { seen.push(`delete ${kv.key}`); if (seen.length === 3) resolve(); });
  });
  await client.put("watched/a").value("1");
  await client.put("watched/a").value("2");
  await client.delete().key("watched/a");
  await all;
  assert.deepStrictEqual(seen, ["put watched/a 1", "put watched/a 2", "delete watched/a"]);
  await watcher.cancel();

  const lease = client.lease(10, { autoKeepAlive: false });
  await lease.put("leased").value("x");
  await lease.keepaliveOnce();
  assert.strictEqual((await client.get("leased").exec()).kvs[0].lease, await lease.grant());
  await lease.revoke();
  assert.strictEqual(await client.get("leased").string(), null);
  const gone = client.lease(10, { autoKeepAlive: false });
  await client.leaseClient.leaseRevoke({ ID: await gone.grant() });
  await assert.rejects(gone.keepaliveOnce(), EtcdLeaseInvalidError);

  const order = [];
  await Promise.all([1, 2, 3].map((n) => client.lock("mutex").do(async () => {
    order.push(`in ${n}`);
    await client.put("counter").value(n);
    order.push(`out ${n}`);
  })).map((one) => one.catch((error) => order.push(error.constructor.name))));
  assert.ok(order.filter((one) => one.startsWith("in")).length >= 1, order.join());

  const election = client.election("boss");
  const campaign = election.campaign("me");
  await new Promise((resolve, reject) => { campaign.on("elected", resolve); campaign.on("error", reject); });
  assert.strictEqual(await election.leader(), "me");
  await campaign.resign();

  const members = await client.cluster.memberList({});
  assert.strictEqual(members.members.length, 1);
  const status = await client.maintenance.status();
  assert.ok(status.version.startsWith("3."), status.version);
  client.close();
}

main(process.argv[2]).then(() => console.log("ok"), (error) => { console.log(error); process.exit(1); });
