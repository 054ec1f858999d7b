// Signing in with an account elsewhere. A page begins it with `begin`; the provider sends the person back to
// /api/oidc/callback, which finishes it and goes on to the page that began, where `takeSession` finds the session. What
// proves that both are the same browser stays in its sessionStorage.
const BEGUN = "pepeunit.oidc";
const SESSION = "pepeunit.session";

async function post(path, body) {
  const response = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.detail || answer.title);
  return answer;
}

export async function begin(provider) {
  const flow = await post(`/api/v1/oidc/${encodeURIComponent(provider)}:begin`, {});
  const { state, flow_secret } = flow;
  sessionStorage.setItem(BEGUN, JSON.stringify({ state, flow_secret, back: location.pathname }));
  location.assign(flow.authorization_url);
}

// The session that was signed in to since, once; or null.
export function takeSession() {
  const session = sessionStorage.getItem(SESSION);
  sessionStorage.removeItem(SESSION);
  return session && JSON.parse(session);
}

async function finish(query) {
  const begun = JSON.parse(sessionStorage.getItem(BEGUN) || "null");
  sessionStorage.removeItem(BEGUN);
  if (!begun || begun.state !== query.get("state")) throw new Error("No such sign-in was begun in this browser; begin again.");
  if (query.has("error")) throw new Error(`The provider says: ${query.get("error_description") || query.get("error")}`);
  const session = await post("/api/v1/oidc:finish", {
    code: query.get("code") || "",
    state: begun.state,
    flow_secret: begun.flow_secret,
    iss: query.get("iss") || "",
  });
  sessionStorage.setItem(SESSION, JSON.stringify(session));
  location.replace(begun.back);
}

const result = location.pathname === "/api/oidc/callback" && document.getElementById("result");
if (result) {
  const query = new URLSearchParams(location.search);
  history.replaceState(null, "", location.pathname); // the code is of no more use, and stays in no history
  finish(query).catch((error) => {
    result.className = "bad";
    result.textContent = error.message;
  });
}
