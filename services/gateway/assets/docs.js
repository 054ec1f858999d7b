// The page: the index, the operations by tag, the schemas, signing in.
import { operationElement } from "./operation.js";
import { begin, takeSession } from "/api/oidc/oidc.js";
import { element, fields, prose } from "./schema.js";

const byId = (id) => document.getElementById(id);
const token = () => byId("token").value.trim();

function operationsOf(api) {
  const all = [];
  for (const [path, verbs] of Object.entries(api.paths)) {
    for (const [verb, operation] of Object.entries(verbs)) all.push({ path, verb, operation });
  }
  return all;
}

function render(api) {
  document.title = `${api.info.title} API`;
  byId("title").textContent = `${api.info.title} API`;
  byId("version").textContent = api.info.version;
  byId("about").append(prose(api.info.description));
  byId("loading").remove();
  const all = operationsOf(api);
  for (const tag of api.tags) {
    const mine = all.filter(({ operation }) => operation.tags.includes(tag.name));
    byId("operations").append(
      element("h2", { textContent: tag.name }), prose(tag.description),
      ...mine.map(({ path, verb, operation }) => operationElement(api, path, verb, operation, token)));
    byId("index").append(
      element("section", {},
        element("h2", { textContent: tag.name }),
        element("ul", {}, ...mine.map(({ path, verb, operation }) =>
          element("li", {}, element("a", { href: `#${operation.operationId}`, title: operation.summary || "" },
            element("span", { className: `verb ${verb}`, textContent: verb.toUpperCase() }),
            element("span", { textContent: path.replace(/^\/api\/v1/, "") })))))));
  }
  renderSchemas(api);
}

function renderSchemas(api) {
  byId("schemas").append(element("h2", { textContent: "Schemas" }));
  for (const [name, schema] of Object.entries(api.components.schemas)) {
    byId("schemas").append(
      element("details", { className: "schema", id: `schema-${name}` },
        element("summary", {}, element("span", { className: "path", textContent: name })),
        element("div", { className: "body" }, prose(schema.description), schema.properties ? fields(api, schema) : null)));
  }
}

// A link to an operation or a schema opens it.
function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (!(target instanceof HTMLDetailsElement)) return;
  target.open = true;
  target.scrollIntoView();
  target.querySelector("summary").focus({ preventScroll: true });
}

function filterIndex() {
  const words = byId("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of byId("index").children) {
    let shown = 0;
    for (const item of section.querySelectorAll("li")) {
      const text = `${item.textContent} ${item.firstChild.title} ${item.firstChild.hash}`.toLowerCase();
      item.hidden = !words.every((word) => text.includes(word));
      if (!item.hidden) ++shown;
    }
    section.hidden = shown === 0;
  }
}

function showSession(session) {
  byId("token").value = session.access_token;
  byId("sign-in-result").className = "good";
  byId("sign-in-result").textContent = `Signed in as ${session.user?.login}. The token is good until ${session.access_expires_at}.`;
}

function showProblem(error) {
  byId("sign-in-result").className = "bad";
  byId("sign-in-result").textContent = error.message;
}

async function showProviders() {
  const response = await fetch("/api/v1/oidc/providers");
  if (!response.ok) return;
  const { providers } = await response.json();
  for (const provider of providers) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = `Sign in with ${provider.title}`;
    button.addEventListener("click", () => begin(provider.name).catch(showProblem));
    byId("providers").append(button);
  }
  byId("providers").hidden = providers.length === 0;
}

async function signIn(event) {
  event.preventDefault();
  const result = byId("sign-in-result");
  result.className = "";
  result.textContent = "Signing in…";
  try {
    const response = await fetch("/api/v1/sessions", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ login: byId("login").value, password: byId("password").value }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(answer.detail || answer.title);
    byId("password").value = "";
    showSession(answer);
  } catch (error) {
    showProblem(error);
  }
}

byId("filter").addEventListener("input", filterIndex);
byId("sign-in").addEventListener("submit", signIn);
window.addEventListener("hashchange", openTarget);
const session = takeSession();
if (session) showSession(session);
showProviders().catch(() => {});

try {
  const response = await fetch("/api/v1/openapi.json");
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  render(await response.json());
  openTarget();
} catch (error) {
  byId("loading").className = "bad";
  byId("loading").textContent = `The description of the API cannot be read: ${error.message}`;
}
