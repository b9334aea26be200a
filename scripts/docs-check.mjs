// What a reader does with /docs, in Chromium: started by docs-check.py.
//
//   node docs-check.mjs URL TOOLS CHROMIUM [DIRECTORY for screenshots]
import { createRequire } from "node:module";
import path from "node:path";

const [url, tools, chromium, screenshots] = process.argv.slice(2);
const playwright = createRequire(path.join(tools, "package.json"))("playwright-core");
const METHODS = ["get", "head", "post", "put", "patch", "delete"];
// Only a page that is wrong waits so long; a busy machine must not look like one.
const WAIT_MS_MAX = 60_000;
// How long a complaint may come after what it is about.
const SETTLE_MS = 500;
// How deep models lie in models; more, and they have no end.
const DEPTH_MAX = 12;

const started = Date.now();
const spec = await (await fetch(`${url}/openapi.json`)).json();
const operations = Object.values(spec.paths).flatMap((item) =>
  METHODS.filter((method) => item[method]).map((method) => item[method]),
);

function demand(holds, message) {
  if (!holds) throw new Error(message);
}

function say(what, text) {
  console.log(`${what.padEnd(9)} ${text}`);
}

// A page that keeps all that the browser complains of, and every request it makes.
async function observed(browser) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 1000 } });
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS_MAX);
  const faults = [];
  const requests = [];
  page.on("console", (message) => {
    if (["error", "warning", "assert"].includes(message.type())) {
      faults.push(`console ${message.type()}: ${message.text()}`);
    }
  });
  page.on("pageerror", (error) => faults.push(`exception: ${error.message}`));
  page.on("request", (request) => {
    const { protocol, origin } = new URL(request.url());
    if (protocol === "data:") return;
    requests.push(request.url());
    if (origin !== url) faults.push(`request to another server: ${request.url()}`);
  });
  page.on("requestfailed", (request) => faults.push(`failed: ${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => {
    if (response.status() >= 400) faults.push(`refused: ${response.url()}: ${response.status()}`);
  });
  // What the policy refuses is an event too, also where Chromium does not write it to the console.
  await page.exposeFunction("reportViolation", (text) => faults.push(`policy: ${text}`));
  await page.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) =>
      window.reportViolation(`${event.violatedDirective} refused ${event.blockedURI} (${event.sourceFile}:${event.lineNumber})`),
    );
  });
  return { context, page, faults, requests };
}

// Where Swagger UI shows an operation.
function blockOf(page, operationId, tags) {
  return page.locator(`[id="operations-${tags[0]}-${operationId}"]`);
}

// Every operation of the file is on the page, with its summary, under its id.
async function rendered(page) {
  await page.goto(`${url}/docs`);
  for (const { operationId, summary, tags } of operations) {
    const block = blockOf(page, operationId, tags);
    await block.waitFor();
    const shown = await block.locator(".opblock-summary-description").innerText();
    demand(shown === summary, `${operationId} should be called "${summary}", not "${shown}"`);
  }
  const count = await page.locator(".opblock").count();
  demand(count === operations.length, `${count} operations are shown, ${operations.length} are in the file`);
}

// The address of an operation opens it.
async function linked(page) {
  demand(new URL(page.url()).hash === "#/resources/putResource", `${page.url()} should name the last operation opened`);
  await page.reload();
  await page.locator(`[id="operations-resources-putResource"] .responses-table`).waitFor();
  const open = await page.locator(".opblock.is-open").count();
  demand(open === 1, `${open} operations are open, not the one of the address`);
}

// The rows of the first table in a text of Markdown.
function rowsOf(markdown) {
  const lines = markdown.split("\n").map((line) => line.trim());
  const first = lines.findIndex((line) => /^\|[-|]+\|$/.test(line)) + 1;
  if (first === 0) return 0;
  const length = lines.slice(first).findIndex((line) => !line.startsWith("|"));
  return length === -1 ? lines.length - first : length;
}

async function tableHas(place, markdown, name) {
  const expected = rowsOf(markdown);
  const found = await place.locator("table").first().locator("tbody tr").count();
  demand(expected > 0 && found === expected, `${name}: a table of ${found} rows is shown, ${expected} are in the file`);
}

// Opens the models and the models in these, before the operations: the page is rendered anew after each step.
async function modelsExpanded(page) {
  const schemas = Object.entries(spec.components.schemas);
  const closed = "section.models .model-toggle.collapsed";
  await clickAll(page, "section.models > h4 button");
  await page.locator(".model-container").nth(schemas.length - 1).waitFor();
  await clickAll(page, closed);
  for (const [name, { properties = {} }] of schemas) {
    const members = Object.keys(properties).length;
    if (members > 0) await page.locator(`[id="model-${name}"] .property-row`).nth(members - 1).waitFor();
  }
  let depth = 1;
  for (; (await page.locator(closed).count()) > 0; depth += 1) {
    demand(depth < DEPTH_MAX, "models stay closed");
    await clickAll(page, closed);
  }
  say("models", `${schemas.length} with all their members, ${depth} deep`);
}

// Opens the operations, and the schemas of their contents.
async function operationsExpanded(page) {
  await clickAll(page, ".opblock-summary-control");
  for (const { operationId, tags, description } of operations) {
    const block = blockOf(page, operationId, tags);
    await block.locator(".responses-table").waitFor();
    await tableHas(block.locator(".opblock-description"), description, operationId);
  }
  const tabs = "button.tablinks[data-name=model]";
  await clickAll(page, tabs);
  await page.locator(`${tabs}[aria-selected=false]`).first().waitFor({ state: "detached" });
  say("open", `every operation, its table of problems, ${await page.locator(tabs).count()} schemas of contents`);
}

// Clicks in one go what there is, without moving a pointer there.
async function clickAll(page, selector) {
  await page.locator(selector).first().waitFor({ state: "attached" });
  await page.locator(selector).evaluateAll((elements) => elements.forEach((element) => element.click()));
}

// Sends a request with "Try it out"; what is shown as its answer.
async function tried(page, operationId, { parameters = {}, body }) {
  const { tags } = operations.find((operation) => operation.operationId === operationId);
  const block = blockOf(page, operationId, tags);
  await block.locator(".opblock-summary-control").click();
  await block.getByRole("button", { name: "Try it out" }).click();
  // What is filled in is sent: an example of a condition would be false, one of a digest another content's.
  for (const input of await block.locator("tr[data-param-in]:not([data-param-in=path]) input").all()) {
    demand((await input.inputValue()) === "", `${operationId} has a field that is filled in from the start`);
  }
  for (const [name, value] of Object.entries(parameters)) {
    await block.locator(`tr[data-param-name="${name}"] input`).fill(value);
  }
  if (body !== undefined) await block.locator("textarea").first().fill(body);
  await block.getByRole("button", { name: "Execute" }).click();
  const answer = block.locator(".live-responses-table");
  await answer.waitFor();
  const target = await block.locator(".request-url pre").innerText();
  demand(target.trim().startsWith(`${url}/`), `the request should go to ${url}, not to ${target}`);
  return {
    status: (await answer.locator("tbody .response-col_status").first().innerText()).trim().slice(0, 3),
    text: await answer.innerText(),
  };
}

async function requestsSent(page) {
  const created = await tried(page, "createTransaction", { body: "{}" });
  demand(created.status === "201", `POST /transactions was answered with ${created.text}`);
  const location = /location: (\S+)/.exec(created.text)?.[1];
  demand((await fetch(url + location)).status === 200, `the transaction is not there: ${created.text}`);

  const body = '{"balance": 100}';
  const written = await tried(page, "putResource", {
    parameters: { collection: "docs", key: "alice", "If-None-Match": "*" },
    body,
  });
  demand(written.status === "201", `PUT of a new resource was answered with ${written.text}`);
  demand(/etag: "\S+"/.test(written.text), `the tag is not shown: ${written.text}`);
  const stored = await (await fetch(`${url}/resources/docs/alice`)).text();
  demand(stored === body, `${body} was sent, ${stored} is stored`);
}

// Pages that must be found wrong, or all of the above proves nothing.
const WRONG = {
  "an inline script": { html: (page) => page.replace("</body>", "<script>window.inline = 1</script></body>") },
  "an inline style": { html: (page) => page.replace("<main ", '<main style="color: red" ') },
  "an event handler": { html: (page) => page.replace("<body>", '<body onload="1">') },
  "a picture from elsewhere": { html: (page) => page.replace("</body>", '<img src="http://localhost:1/a.png"></body>') },
  "a file that does not exist": { html: (page) => page.replace("docs/page.css", "docs/absent.css") },
  "a script that fails": { html: (page) => page.replace("docs/swagger-ui-bundle.js", "docs/page.js") },
  // Each source that the policy allows is needed: without any one of them the page does not work.
  "no script": { policy: (policy) => policy.replace("script-src 'self'; ", "") },
  "no style": { policy: (policy) => policy.replace("style-src 'self'; ", "") },
  "no request": { policy: (policy) => policy.replace("connect-src 'self'; ", "") },
  "no data: in img-src": { policy: (policy) => policy.replace(" data:", ""), whole: true },
};

// What the browser complains of in the page with a change. Unless it is wanted whole, nothing is in the page but
// what the change is about.
async function complaints(browser, { html = (page) => page, policy = (policy) => policy, whole = false }) {
  const { context, page, faults } = await observed(browser);
  await page.route(`${url}/docs`, async (route) => {
    const response = await route.fetch();
    const headers = response.headers();
    headers["content-security-policy"] = policy(headers["content-security-policy"]);
    await route.fulfill({ response, body: html(await response.text()), headers });
  });
  if (!whole) {
    await page.route("**/swagger-ui-bundle.js", (route) => route.fulfill({
      contentType: "text/javascript",
      body: 'window.SwaggerUIBundle = ({ domNode }) => domNode.append("shown");',
    }));
  }
  await page.goto(`${url}/docs`);
  const sign = page.getByText(whole ? operations[0].summary : "shown", { exact: true });
  const deadline = Date.now() + WAIT_MS_MAX;
  while (faults.length === 0 && (await sign.count()) === 0 && Date.now() < deadline) await page.waitForTimeout(20);
  demand(faults.length > 0 || Date.now() < deadline, "a page shows nothing and complains of nothing");
  // What is shown last may be complained of after it.
  if (faults.length === 0) await page.waitForTimeout(SETTLE_MS);
  await context.close();
  return faults;
}

async function proven(browser) {
  const right = await complaints(browser, {});
  demand(right.length === 0, `the page without any change was found wrong: ${right}`);
  for (const [what, change] of Object.entries(WRONG)) {
    demand((await complaints(browser, change)).length > 0, `${what} should have been found`);
  }
  say("prove", `${Object.keys(WRONG).length} pages that are wrong were found to be`);
}

async function picture(place, name) {
  if (screenshots) await place.screenshot({ path: path.join(screenshots, `${name}.png`) });
}

const browser = await playwright.chromium.launch({
  executablePath: chromium,
  args: [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    // No name can be resolved: whatever is asked of another host fails, and is found.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
  ],
});
try {
  const { context, page, faults, requests } = await observed(browser);
  try {
    await rendered(page);
    say("read", `${operations.length} operations with their summaries`);
    await picture(page, "top");
    await requestsSent(page);
    say("try", "POST /transactions: 201, PUT of a new resource: 201");
    await picture(page.locator("#operations-resources-putResource"), "tried");
    await linked(page);
    await page.goto(`${url}/docs`);
    await tableHas(page.locator(".info .description"), spec.info.description, "the recipe");
    await modelsExpanded(page);
    await operationsExpanded(page);
    await picture(page.locator("section.models"), "models");
    say("requests", `${requests.length}, all to ${url}`);
  } finally {
    for (const fault of faults) console.error(`docs-check: ${fault}`);
  }
  demand(faults.length === 0, "the browser complained");
  await context.close();
  await proven(browser);
  say("done", `the browser had nothing to complain of (${((Date.now() - started) / 1000).toFixed(1)} s)`);
} catch (error) {
  // Without the colours that the driver gives its messages.
  console.error(`docs-check: ${error.message.replace(/\u001b\[\d+m/g, "")}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
