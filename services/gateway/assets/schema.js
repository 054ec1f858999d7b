// Schemas and descriptions as elements. All text goes in as text: nothing of the document is ever read as HTML.

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null));
  return made;
}

function inline(text) {
  return text.split(/(`[^`]*`)/).filter(Boolean).map((part) =>
    part.length > 1 && part.startsWith("`") && part.endsWith("`")
      ? element("code", { textContent: part.slice(1, -1) })
      : document.createTextNode(part));
}

// Paragraphs, lists of "- " lines and `code`.
export function prose(text) {
  const out = document.createDocumentFragment();
  for (const paragraph of (text || "").split(/\n\n+/)) {
    const lines = paragraph.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      out.append(element("ul", {}, ...lines.map((line) => element("li", {}, ...inline(line.slice(2))))));
    } else if (paragraph) {
      out.append(element("p", {}, ...inline(paragraph)));
    }
  }
  return out;
}

export function resolve(api, node) {
  for (let steps = 0; node && node.$ref && steps < 8; ++steps) {
    const { $ref, ...beside } = node;
    const found = $ref.slice(2).split("/").reduce((at, key) => at?.[key.replaceAll("~1", "/").replaceAll("~0", "~")], api);
    node = { ...found, ...beside };
  }
  return node || {};
}

function nameOf(schema) {
  return schema.$ref ? schema.$ref.split("/").pop() : null;
}

// "string (date-time)", "array of Unit" with a link to the schema it names.
export function typeOf(schema) {
  if (!schema) return document.createTextNode("");
  const name = nameOf(schema);
  if (name) return element("a", { href: `#schema-${name}`, textContent: name });
  if (schema.type === "array") return element("span", {}, "array of ", typeOf(schema.items));
  if (!schema.type) return document.createTextNode("any JSON value");
  const more = schema.format || (schema.contentEncoding ? schema.contentEncoding : "");
  return document.createTextNode(schema.type + (more ? ` (${more})` : ""));
}

export function fields(api, schema) {
  const whole = resolve(api, schema);
  const rows = Object.entries(whole.properties || {}).map(([name, field]) =>
    element("tr", {},
      element("td", {}, element("code", { textContent: name })),
      element("td", {}, typeOf(field)),
      element("td", {}, prose(field.description))));
  if (rows.length === 0) return element("p", {}, typeOf(schema));
  return element("table", {},
    element("thead", {}, element("tr", {}, ...["Field", "Type", "Meaning"].map((t) => element("th", { scope: "col", textContent: t })))),
    element("tbody", {}, ...rows));
}

// A body to begin with. Fields that refer back to themselves end after a few steps.
export function example(api, schema, depth = 0) {
  const whole = resolve(api, schema);
  if (depth > 4) return null;
  if (whole.examples) return whole.examples[0];
  if (whole.enum) return whole.enum[1] ?? whole.enum[0];
  switch (whole.type) {
    case "object":
      return Object.fromEntries(Object.entries(whole.properties || {}).slice(0, whole.maxProperties).map(([name, field]) => [name, example(api, field, depth + 1)]));
    case "array": return [example(api, whole.items, depth + 1)];
    case "boolean": return false;
    case "integer":
    case "number": return 0;
    case "string": return whole.format === "date-time" ? new Date().toISOString() : "";
    default: return null;
  }
}
