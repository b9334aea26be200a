// Shows the API description of the server that this page came from, whatever its address.
"use strict";

// The folder of /docs is the server's root, behind a proxy that adds a prefix too.
const root = new URL(".", document.baseURI);
const place = document.getElementById("description");

async function show() {
  const answer = await fetch(new URL("openapi.json", root), { headers: { accept: "application/json" } });
  if (!answer.ok) {
    throw new Error(`openapi.json was answered with ${answer.status}`);
  }
  const spec = await answer.json();
  // The file names the address that the server has if not told otherwise. "Try it out" sends to this one instead:
  // the page's Content-Security-Policy allows no other.
  spec.servers = [{ url: root.href.replace(/\/$/, ""), description: "Where this page came from" }];
  Object.values(spec.components.parameters).forEach(tellExample);
  SwaggerUIBundle({
    spec,
    domNode: place,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    defaultModelExpandDepth: 2,
    displayRequestDuration: true,
    // Otherwise descriptions are sent to a validator on the Internet.
    validatorUrl: null,
  });
}

// Swagger UI fills fields in with their examples and sends them: a tag that nobody has, the digest of other content.
// Of what may be left out, the example is told instead.
function tellExample(parameter) {
  if (!parameter.required && "example" in parameter) {
    const { example } = parameter;
    parameter.description += `\n\nExample: \`${Array.isArray(example) ? example.join("`, `") : example}\``;
    delete parameter.example;
  }
}

show().catch((error) => {
  place.textContent = `The description can't be shown: ${error.message}. Reload the page to try again.`;
});
