// Moves money between two accounts exactly once, whichever request or answer gets lost. Runs in node ≥ 22.18 as it is.
//   node transfer.mts URL FROM TO AMOUNT      exit code 0: applied, 1: not applied and never will be, 2: unknown

import { setTimeout as sleep } from "node:timers/promises";

const ATTEMPTS = 12, FIRST_WAIT = 100, LONGEST_WAIT = 10_000, ANSWER_WAIT = 60_000; // the waits in milliseconds
const PASSING = [408, 425, 429, 500, 502, 503, 504];

interface Account { href: string; key: string; etag: string; body: { balance: number } }
interface Page { items: Account[] }
interface Transaction { state: string }
interface Problem { type: string; detail: string; errors?: unknown; current?: Transaction }
interface Answer<T> { status: number; headers: Headers; document: Partial<T & Problem> }

class Unknown extends Error {}

/** Sends a request, unchanged, until the API itself has decided it. */
async function send<T>(method: string, url: string, headers: Record<string, string> = {}, content?: object): Promise<Answer<T>> {
  const request: RequestInit = { method, headers };
  if (content) {
    request.headers = { ...headers, "Content-Type": "application/json" };
    request.body = JSON.stringify(content);
  }
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    let wait = Math.random() * Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** attempt); // full jitter: clients spread out
    try {
      const answer = await fetch(url, { ...request, signal: AbortSignal.timeout(ANSWER_WAIT) });
      const seconds = answer.headers.get("Retry-After") ?? "";
      if (/^\d+$/.test(seconds)) wait += Number(seconds) * 1000;
      const document = JSON.parse((await answer.text()) || "{}");
      // An error that is no problem of the API comes from something in between, and says nothing.
      const ours = answer.ok || String(document.type).startsWith("/problems/");
      if (ours && !PASSING.includes(answer.status)) return { status: answer.status, headers: answer.headers, document };
    } catch {
      // No answer, or not a whole one: the request may have arrived, or not.
    }
    await sleep(wait);
  }
  throw new Unknown(`no answer to ${method} ${url}`);
}

/** Whether it was applied, and a sentence. What was not applied will never be. */
async function transfer(server: string, from: string, to: string, amount: number): Promise<[boolean, string]> {
  const { headers } = await send<Transaction>("POST", `${server}/transactions`);
  const transaction = headers.get("Location")!, tag = headers.get("ETag")!;
  const query = new URLSearchParams([from, to].map((name) => ["key", `accounts/${name}`]));
  for (let reason = ""; ; ) { // to give up
    let changes: object[] = [];
    if (!reason) { // read, and decide
      const { document: page } = await send<Page>("GET", `${server}/resources?${query}`);
      const source = page.items?.find((item) => item.key === from), target = page.items?.find((item) => item.key === to);
      if (!source || !target) reason = page.detail ?? "no such account";
      else if (!(amount > 0 && amount <= source.body.balance)) reason = "not enough money";
      else changes = [change(source, -amount), change(target, amount)];
    }
    const { status, document: answer } = reason
      ? await send<Transaction>("DELETE", server + transaction, { "If-Match": "*" })
      : await send<Transaction>("PUT", server + transaction, { "If-Match": tag }, { changes });

    if (answer.type === "/problems/stale-resource") continue; // somebody was faster, and nothing has happened: again, in the same transaction
    // Where the transaction was used before, by a request whose answer got lost, the problem shows it as `current`.
    if ((answer.current ?? answer).state === "committed") return [true, `applied ${transaction}`];
    if (status === 204 || answer.type === "/problems/transaction-cancelled" || answer.type === "/problems/transaction-expired")
      return [false, `not applied ${transaction}: ${reason || answer.detail}`];
    if (status === 410 || reason) throw new Unknown(`${transaction}: ${answer.detail}`);
    reason = `${answer.detail} ${JSON.stringify(answer.errors ?? [])}`; // the request needs mending: give it up
  }
}

/** A change of exactly the state that was decided on. */
function change(account: Account, by: number): object {
  return { method: "PATCH", target: account.href, if_match: account.etag, body: { balance: account.body.balance + by } };
}

const [server = "", from = "", to = "", amount] = process.argv.slice(2);
try {
  const [applied, sentence] = await transfer(server, from, to, Number(amount));
  console.log(sentence);
  process.exitCode = applied ? 0 : 1;
} catch (error) {
  if (!(error instanceof Unknown)) throw error;
  console.log(`unknown: ${error.message}`);
  process.exitCode = 2;
}
