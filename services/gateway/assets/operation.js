// One operation: what it does, takes and answers, and a form that calls it.
import { element, example, fields, prose, resolve, typeOf } from "./schema.js";

const kMostShown = 200_000;  // characters of an answer

export function operationElement(api, path, verb, operation, token) {
  const details = element("details", { className: "operation", id: operation.operationId },
    element("summary", {},
      element("span", { className: `verb ${verb}`, textContent: verb.toUpperCase() }),
      element("span", { className: "path", textContent: path }),
      element("span", { className: "muted", textContent: operation.summary || "" })));
  // Made when first opened: the page is long.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(body(api, path, verb, operation, token));
  });
  return details;
}

function body(api, path, verb, operation, token) {
  const content = element("div", { className: "body" }, prose(operation.description));
  const parameters = (operation.parameters || []).map((parameter) => resolve(api, parameter));
  if (parameters.length) content.append(element("h3", { textContent: "Parameters" }), parameterTable(parameters));
  const sent = operation.requestBody?.content?.["application/json"]?.schema;
  if (sent) content.append(element("h3", { textContent: "Body" }), fields(api, sent));
  content.append(element("h3", { textContent: "Answers" }), answerTable(api, operation.responses));
  content.append(tryForm(api, path, verb, operation.operationId, parameters, sent, token));
  return content;
}

function parameterTable(parameters) {
  return element("table", {},
    element("thead", {}, element("tr", {}, ...["Name", "In", "Type", "Meaning"].map((t) => element("th", { scope: "col", textContent: t })))),
    element("tbody", {}, ...parameters.map((parameter) =>
      element("tr", {},
        element("td", {}, element("code", { className: parameter.required ? "required" : "", textContent: parameter.name })),
        element("td", { textContent: parameter.in }),
        element("td", {}, typeOf(parameter.schema)),
        element("td", {}, prose(parameter.description))))));
}

function answerTable(api, responses) {
  return element("table", {},
    element("tbody", {}, ...Object.entries(responses).map(([status, reference]) => {
      const response = resolve(api, reference);
      const [type, content] = Object.entries(response.content || {})[0] || [];
      return element("tr", {},
        element("td", {}, element("code", { textContent: status })),
        element("td", {}, content && type === "application/json" ? typeOf(content.schema) : document.createTextNode(type || "")),
        element("td", {}, prose(response.description)));
    })));
}

function control(api, parameter, id) {
  const schema = resolve(api, parameter.schema);
  if (!schema.enum && schema.type !== "boolean") {
    return element("input", { id, required: Boolean(parameter.required), autocomplete: "off", spellcheck: false });
  }
  const choices = ["", ...(schema.enum || ["true", "false"])];
  return element("select", { id }, ...choices.map((value) => element("option", { value, textContent: value })));
}

function tryForm(api, path, verb, operationId, parameters, sent, token) {
  const controls = parameters.map((parameter, i) => control(api, parameter, `${operationId}-${i}`));
  const form = element("form", { className: "try" }, element("h3", { textContent: "Try it" }));
  parameters.forEach((parameter, i) => {
    form.append(element("label", { htmlFor: controls[i].id, className: parameter.required ? "required" : "" }, parameter.name), controls[i]);
  });
  let text = null;
  if (sent) {
    text = element("textarea", { id: `${operationId}-body`, spellcheck: false });
    text.value = JSON.stringify(example(api, sent), null, 2);
    form.append(element("label", { htmlFor: text.id, textContent: "Body (JSON; leave out what you do not need)" }), text);
  }
  const button = element("button", { type: "submit", textContent: `Send ${verb.toUpperCase()}` });
  const answer = element("div", { className: "answer" });
  answer.setAttribute("role", "status");
  form.append(element("p", {}, button), answer);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    try {
      await send(path, verb, parameters, controls, text, token(), answer);
    } catch (error) {
      answer.replaceChildren(element("p", { className: "bad", textContent: `No answer: ${error.message}` }));
    }
    button.disabled = false;
  });
  return form;
}

async function send(path, verb, parameters, controls, text, token, answer) {
  const headers = {};
  const query = new URLSearchParams();
  let url = path;
  parameters.forEach((parameter, i) => {
    const value = controls[i].value;
    if (parameter.in === "path") url = url.replace(`{${parameter.name}}`, encodeURIComponent(value));
    else if (value === "") return;
    else if (parameter.in === "query") query.append(parameter.name, value);
    else headers[parameter.name] = value;
  });
  if (query.size !== 0 && query.toString()) url += `?${query}`;
  if (token) headers.Authorization = `Bearer ${token}`;
  if (text) headers["Content-Type"] = "application/json";
  const begin = performance.now();
  const response = await fetch(url, { method: verb.toUpperCase(), headers, body: text ? text.value : undefined });
  const type = response.headers.get("Content-Type") || "";
  const content = type.includes("json") ? await json(response) : await file(response);
  const ms = Math.round(performance.now() - begin);
  answer.replaceChildren(
    element("p", {}, element("span", { className: `status ${response.ok ? "good" : "bad"}`, textContent: `${response.status} ${response.statusText}` }),
      element("span", { className: "muted", textContent: ` in ${ms} ms · ${verb.toUpperCase()} ${url}` })),
    ...["ETag", "Location", "Retry-After"].filter((name) => response.headers.has(name))
      .map((name) => element("p", {}, element("code", { textContent: `${name}: ${response.headers.get(name)}` }))),
    content);
}

async function json(response) {
  const raw = await response.text();
  let shown = raw;
  try {
    shown = JSON.stringify(JSON.parse(raw), null, 2);
  } catch {
    // As it came.
  }
  if (shown.length > kMostShown) shown = `${shown.slice(0, kMostShown)}\n… ${shown.length - kMostShown} characters more`;
  return element("pre", { tabIndex: 0, textContent: shown });
}

async function file(response) {
  const blob = await response.blob();
  if (blob.size === 0) return element("p", { className: "muted", textContent: "No content." });
  const name = /filename="([^"]*)"/.exec(response.headers.get("Content-Disposition") || "")?.[1] || "download";
  return element("p", {}, element("a", { href: URL.createObjectURL(blob), download: name, textContent: `Save ${name}` }), ` (${blob.size} bytes)`);
}
