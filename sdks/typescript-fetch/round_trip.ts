// A transfer with the SDK that openapi-generator's `typescript-fetch` makes of openapi.yaml, whatever gets in its way.
//
//     round_trip <server URL> <URL of a proxy before it that loses answers>
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  ChangeMethod,
  Configuration,
  FetchError,
  ProblemFromJSON,
  ResourcesApi,
  ResponseError,
  TransactionsApi,
  type Change,
  type Conflict,
  type Problem,
} from "./generated";

type Account = { balance: number };
const PUTS_MAX = 10; // of one transfer

const [url, lossyUrl] = process.argv.slice(2);
const resources = new ResourcesApi(new Configuration({ basePath: url }));
const transactions = new TransactionsApi(new Configuration({ basePath: url }));

/** The document, and the tag of this very state. */
async function read(key: string) {
  const answer = await resources.getResourceRaw({ collection: "accounts", key });
  return { account: (await answer.value()) as Account, tag: answer.raw.headers.get("ETag") ?? "" };
}

/** The problem that was answered; any other failure goes on. */
async function problemOf(error: unknown): Promise<Problem> {
  if (!(error instanceof ResponseError)) throw error;
  return ProblemFromJSON(await error.response.json());
}

async function open() {
  const answer = await transactions.createTransactionRaw({});
  const opened = await answer.value();
  assert.equal(answer.raw.headers.get("ETag"), opened.etag);
  return opened;
}

function put(key: string, ifMatch: string, balance: number): Change {
  return { method: ChangeMethod.Put, target: `/resources/accounts/${key}`, ifMatch, body: { balance } };
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
    try {
      const request = { id: opened.id, ifMatch: opened.etag, transactionPut: { changes } };
      return { applied: await transactions.putTransaction(request), met };
    } catch (error) {
      const problem = await problemOf(error);
      if (problem.type !== "/problems/stale-resource") throw error;
      met.push(...(problem.conflicts ?? [])); // nothing was applied: read again, same transaction
    }
  }
  throw new Error(`${source} is changed all the time`);
}

/** Somebody else changes alice between our reading and our writing, once. */
async function competes(alice: string, bob: string) {
  const current: (string | null)[] = [];
  const { applied, met } = await transfer(alice, bob, 10, async () => {
    if (current.length > 0) return;
    const { tag } = await read(alice);
    const { raw } = await resources.putResourceRaw({
      collection: "accounts",
      key: alice,
      ifMatch: tag,
      body: { balance: 120 },
    });
    assert.equal(raw.status, 204);
    current.push(raw.headers.get("ETag"));
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
  const lossy = new TransactionsApi(new Configuration({ basePath: lossyUrl }));
  const opened = await open();
  const [giver, taker] = [await read(alice), await read(bob)];
  const changes = [put(alice, giver.tag, giver.account.balance - 10), put(bob, taker.tag, taker.account.balance + 10)];
  const xRequestId = `lose-me-${randomUUID()}`;
  const apply = () =>
    lossy
      .putTransactionRaw({ id: opened.id, ifMatch: opened.etag, xRequestId, transactionPut: { changes } })
      .catch((error: unknown) => {
        if (error instanceof FetchError) return undefined; // there was no answer
        throw error;
      });
  let answer = await apply();
  let losses = 0;
  for (; answer === undefined && losses < PUTS_MAX; answer = await apply()) losses++; // applied or not? The same request tells.
  const replayed = answer?.raw.headers.get("Idempotent-Replayed") === "true";
  assert(losses === 1 && replayed);
  assert.equal((await answer?.value())?.state, "committed");
}

async function givesUp(alice: string) {
  const opened = await open();
  const changes = [put(alice, (await read(alice)).tag, 0)];
  const { raw } = await transactions.deleteTransactionRaw({ id: opened.id, ifMatch: "*" });
  assert.equal(raw.status, 204);
  const late = transactions.putTransaction({ id: opened.id, ifMatch: opened.etag, transactionPut: { changes } });
  const problem = await late.then(() => assert.fail("this should have been refused"), problemOf);
  assert.equal(problem.status, 410);
  assert.equal(problem.type, "/problems/transaction-cancelled");
}

/** What docs/sdks.md says this SDK can't do: noticed here once it can. */
async function limits(key: string) {
  const precise = "12345678901234567890.10";
  const target = `${url}/resources/accounts/${encodeURIComponent(key)}-n`;
  const headers = { "If-None-Match": "*", "Content-Type": "application/json" };
  await fetch(target, { method: "PUT", headers, body: precise });
  const path = { collection: "accounts", key: `${key}-n` };
  assert.equal(await resources.getResource(path), Number(precise)); // rounded to a double
  const { raw } = await resources.getResourceRaw(path);
  assert.equal(await raw.text(), precise);
  const same = resources.getResource({ ...path, ifNoneMatch: raw.headers.get("ETag") ?? "" });
  await assert.rejects(same, (error: unknown) => error instanceof ResponseError && error.response.status === 304);
  assert((await open()).createdAt instanceof Date); // which has milliseconds: the microseconds are lost
}

async function main() {
  const [alice, bob] = [`alice+co&sons-${randomUUID()}`, `bob+co&sons-${randomUUID()}`];
  for (const [key, balance] of [[alice, 100], [bob, 0]] as const) {
    const { raw } = await resources.putResourceRaw({ collection: "accounts", key, ifNoneMatch: "*", body: { balance } });
    assert.equal(raw.status, 201);
    assert.equal(raw.headers.get("ETag"), (await read(key)).tag);
  }
  await competes(alice, bob);
  await losesAnAnswer(alice, bob);
  await givesUp(alice);
  await limits(bob);
  const { items } = await resources.listCollections({ key: [`accounts/${alice}`, `accounts/${bob}`] });
  const balances = items.map((item) => [item.key, (item.body as Account).balance]);
  assert.deepEqual(balances, [[alice, 100], [bob, 20]]);
  console.log("tsc --strict; one 412, one lost answer, one 410; 100 and 20 in the end");
}

void main();
