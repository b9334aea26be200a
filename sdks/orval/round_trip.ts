// A transfer with the SDK that orval makes of openapi.yaml, whatever gets in its way.
//
//     round_trip <server URL> <URL of a proxy before it that loses answers>
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  createTransaction,
  deleteTransaction,
  getResource,
  listCollections,
  putResource,
  putTransaction,
  type Change,
  type Conflict,
  type Transaction,
} from "./generated/ifmatch";

type Account = { balance: number };
const PUTS_MAX = 10; // of one transfer

const [url, lossyUrl] = process.argv.slice(2);
process.env.IFMATCH_URL = url; // read at every request, as orval.config.mjs says

/** The document, and the tag of this very state. */
async function read(key: string) {
  const answer = await getResource("accounts", key);
  if (answer.status !== 200) throw new Error(JSON.stringify(answer.data));
  return { account: answer.data as Account, tag: answer.headers.get("ETag") ?? "" };
}

async function open(): Promise<Transaction> {
  const answer = await createTransaction();
  assert(answer.status === 201 && answer.headers.get("ETag") === answer.data.etag);
  return answer.data;
}

function put(key: string, if_match: string, balance: number): Change {
  return { method: "PUT", target: `/resources/accounts/${key}`, if_match, body: { balance } };
}

/** Moves money. Returns the applied transaction, and the conflicts that were met on the way. */
async function transfer(source: string, target: string, amount: number, meanwhile = async () => {}) {
  const opened = await open();
  const met: Conflict[] = [];
  for (let puts = 0; puts < PUTS_MAX; puts++) {
    const [giver, taker] = [await read(source), await read(target)];
    await meanwhile();
    const changes = [
      put(source, giver.tag, giver.account.balance - amount),
      put(target, taker.tag, taker.account.balance + amount),
    ];
    const answer = await putTransaction(opened.id, { changes }, { "If-Match": opened.etag });
    if (answer.status === 200) return { applied: answer.data, met };
    if (answer.status !== 412 || answer.data.type !== "/problems/stale-resource") {
      throw new Error(JSON.stringify(answer.data));
    }
    met.push(...(answer.data.conflicts ?? [])); // nothing was applied: read again, same transaction
  }
  throw new Error(`${source} is changed all the time`);
}

/** Somebody else changes alice between our reading and our writing, once. */
async function competes(alice: string, bob: string) {
  const current: (string | null)[] = [];
  const { applied, met } = await transfer(alice, bob, 10, async () => {
    if (current.length > 0) return;
    const { tag } = await read(alice);
    const written = await putResource("accounts", alice, { balance: 120 }, { "If-Match": tag });
    assert.equal(written.status, 204);
    current.push(written.headers.get("ETag"));
  });
  assert.equal(applied.state, "committed");
  assert.equal(applied.outcome?.changes.length, 2);
  assert.equal(met.length, 1);
  assert.equal(met[0].change, 0);
  assert.equal(met[0].target, `/resources/accounts/${alice}`);
  assert.equal(met[0].current, current[0]);
  assert.match(met[0].transaction ?? "", /^\/transactions\//);
}

async function losesAnAnswer(alice: string, bob: string) {
  const opened = await open();
  const [giver, taker] = [await read(alice), await read(bob)];
  const changes = [put(alice, giver.tag, giver.account.balance - 10), put(bob, taker.tag, taker.account.balance + 10)];
  const headers = { "If-Match": opened.etag, "X-Request-Id": `lose-me-${randomUUID()}` };
  process.env.IFMATCH_URL = lossyUrl;
  const apply = () => putTransaction(opened.id, { changes }, headers).catch(() => undefined); // thrown where there is no answer, or an error page
  let answer = await apply();
  let losses = 0;
  for (; answer === undefined && losses < PUTS_MAX; answer = await apply()) losses++; // applied or not? The same request tells.
  process.env.IFMATCH_URL = url;
  const replayed = answer?.headers.get("Idempotent-Replayed") === "true";
  assert(losses === 1 && replayed);
  assert(answer?.status === 200 && answer.data.state === "committed");
}

async function givesUp(alice: string) {
  const opened = await open();
  const changes = [put(alice, (await read(alice)).tag, 0)];
  const givenUp = await deleteTransaction(opened.id, { "If-Match": "*" });
  assert.equal(givenUp.status, 204);
  const answer = await putTransaction(opened.id, { changes }, { "If-Match": opened.etag });
  assert(answer.status === 410);
  assert.equal(answer.data.type, "/problems/transaction-cancelled");
}

/** What docs/sdks.md says this SDK can't do: noticed here once it can. */
async function limits(key: string) {
  const precise = "12345678901234567890.10";
  const target = `${url}/resources/accounts/${encodeURIComponent(key)}-n`;
  const headers = { "If-None-Match": "*", "Content-Type": "application/json" };
  await fetch(target, { method: "PUT", headers, body: precise });
  const answer = await getResource("accounts", `${key}-n`);
  assert.equal(answer.data, Number(precise)); // rounded to a double
  const same = await getResource("accounts", `${key}-n`, { "If-None-Match": answer.headers.get("ETag") ?? "" });
  assert.equal(same.status, 304);
  assert.deepEqual(same.data, {});
}

async function main() {
  const [alice, bob] = [`alice+co&sons-${randomUUID()}`, `bob+co&sons-${randomUUID()}`];
  for (const [key, balance] of [[alice, 100], [bob, 0]] as const) {
    const created = await putResource("accounts", key, { balance }, { "If-None-Match": "*" });
    assert.equal(created.status, 201);
    assert.equal(created.headers.get("ETag"), (await read(key)).tag);
  }
  await competes(alice, bob);
  await losesAnAnswer(alice, bob);
  await givesUp(alice);
  await limits(bob);
  const listed = await listCollections({ key: [`accounts/${alice}`, `accounts/${bob}`] });
  assert(listed.status === 200);
  const balances = listed.data.items.map((item) => [item.key, (item.body as Account).balance]);
  assert.deepEqual(balances, [[alice, 100], [bob, 20]]);
  console.log("tsc --strict; one 412, one lost answer, one 410; 100 and 20 in the end");
}

void main();
