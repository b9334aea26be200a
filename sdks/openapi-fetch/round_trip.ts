// A transfer with openapi-fetch and the types that openapi-typescript makes of openapi.yaml, whatever gets in its way.
//
//     round_trip <server URL> <URL of a proxy before it that loses answers>
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema";

type Change = components["schemas"]["Change"];
type Conflict = components["schemas"]["Conflict"];
type Transaction = components["schemas"]["Transaction"];
type Account = { balance: number };
const PUTS_MAX = 10; // of one transfer

const [url = "", lossyUrl = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: url });

/** The document, and the tag of this very state. */
async function read(key: string) {
  const path = { collection: "accounts", key };
  const { data, error, response } = await client.GET("/resources/{collection}/{key}", { params: { path } });
  if (error !== undefined) throw new Error(JSON.stringify(error));
  return { account: data as Account, tag: response.headers.get("ETag") ?? "" };
}

async function open(): Promise<Transaction> {
  const { data, response } = await client.POST("/transactions");
  assert(data !== undefined && response.headers.get("ETag") === data.etag);
  return data;
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
    const { data, error } = await client.PUT("/transactions/{id}", {
      params: { path: { id: opened.id }, header: { "If-Match": opened.etag } },
      body: { changes },
    });
    if (data !== undefined) return { applied: data, met };
    if (error.type !== "/problems/stale-resource") throw new Error(JSON.stringify(error));
    met.push(...(error.conflicts ?? [])); // nothing was applied: read again, same transaction
  }
  throw new Error(`${source} is changed all the time`);
}

/** Somebody else changes alice between our reading and our writing, once. */
async function competes(alice: string, bob: string) {
  const current: (string | null)[] = [];
  const { applied, met } = await transfer(alice, bob, 10, async () => {
    if (current.length > 0) return;
    const { response } = await client.PUT("/resources/{collection}/{key}", {
      params: { path: { collection: "accounts", key: alice }, header: { "If-Match": (await read(alice)).tag } },
      body: { balance: 120 },
    });
    assert.equal(response.status, 204);
    current.push(response.headers.get("ETag"));
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
  const lossy = createClient<paths>({ baseUrl: lossyUrl });
  const opened = await open();
  const [giver, taker] = [await read(alice), await read(bob)];
  const changes = [put(alice, giver.tag, giver.account.balance - 10), put(bob, taker.tag, taker.account.balance + 10)];
  const mark = `lose-me-${randomUUID()}`;
  const apply = () =>
    lossy
      .PUT("/transactions/{id}", {
        params: { path: { id: opened.id }, header: { "If-Match": opened.etag, "X-Request-Id": mark } },
        body: { changes },
      })
      .catch(() => undefined); // fetch throws where there is no answer
  let answer = await apply();
  let losses = 0;
  for (; answer === undefined && losses < PUTS_MAX; answer = await apply()) losses++; // applied or not? The same request tells.
  const replayed = answer?.response.headers.get("Idempotent-Replayed") === "true";
  assert(losses === 1 && replayed);
  assert.equal(answer?.data?.state, "committed");
}

async function givesUp(alice: string) {
  const opened = await open();
  const changes = [put(alice, (await read(alice)).tag, 0)];
  const givenUp = await client.DELETE("/transactions/{id}", {
    params: { path: { id: opened.id }, header: { "If-Match": "*" } },
  });
  assert.equal(givenUp.response.status, 204);
  const { error } = await client.PUT("/transactions/{id}", {
    params: { path: { id: opened.id }, header: { "If-Match": opened.etag } },
    body: { changes },
  });
  assert.equal(error?.status, 410);
  assert.equal(error.type, "/problems/transaction-cancelled");
}

/** What docs/sdks.md says this SDK can't do: noticed here once it can. */
async function limits(key: string) {
  const precise = "12345678901234567890.10";
  const target = `${url}/resources/accounts/${encodeURIComponent(key)}-n`;
  const headers = { "If-None-Match": "*", "Content-Type": "application/json" };
  await fetch(target, { method: "PUT", headers, body: precise });
  const params = { path: { collection: "accounts", key: `${key}-n` } };
  const { data } = await client.GET("/resources/{collection}/{key}", { params });
  assert.equal(data, Number(precise)); // rounded to a double
  const text = await client.GET("/resources/{collection}/{key}", { params, parseAs: "text" });
  assert.equal(text.data, precise);
  const same = await client.GET("/resources/{collection}/{key}", {
    params: { ...params, header: { "If-None-Match": text.response.headers.get("ETag") ?? "" } },
  });
  assert.equal(same.response.status, 304);
  assert.equal(same.error, ""); // not a Problem, whatever its type says
  await assert.rejects(client.GET("/openapi.yaml"), SyntaxError); // { parseAs: "text" } is needed
}

async function main() {
  const [alice, bob] = [`alice+co&sons-${randomUUID()}`, `bob+co&sons-${randomUUID()}`];
  for (const [key, balance] of [[alice, 100], [bob, 0]] as const) {
    const { response } = await client.PUT("/resources/{collection}/{key}", {
      params: { path: { collection: "accounts", key }, header: { "If-None-Match": "*" } },
      body: { balance },
    });
    assert.equal(response.status, 201);
    assert.equal(response.headers.get("ETag"), (await read(key)).tag);
  }
  await competes(alice, bob);
  await losesAnAnswer(alice, bob);
  await givesUp(alice);
  await limits(bob);
  const { data } = await client.GET("/resources", {
    params: { query: { key: [`accounts/${alice}`, `accounts/${bob}`] } },
  });
  const balances = data?.items.map((item) => [item.key, (item.body as Account).balance]);
  assert.deepEqual(balances, [[alice, 100], [bob, 20]]);
  console.log("tsc --strict; one 412, one lost answer, one 410; 100 and 20 in the end");
}

void main();
