// An OpenID provider for tests, in memory: everybody is who he says he is. Arguments: port, redirect address.
import { generateKeyPairSync } from "node:crypto";
import Provider from "oidc-provider";

const [port, redirect] = process.argv.slice(2);
const key = (type, options, rest) => ({ ...generateKeyPairSync(type, options).privateKey.export({ format: "jwk" }), use: "sig", ...rest });
const client = (id, alg, auth) => ({
  client_id: id,
  ...(auth === "none" ? {} : { client_secret: `secret of ${id}: %+&=` }),
  redirect_uris: [redirect],
  response_types: ["code"],
  grant_types: ["authorization_code"],
  token_endpoint_auth_method: auth,
  id_token_signed_response_alg: alg,
});
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [client("rs", "RS256", "client_secret_basic"), client("es", "ES256", "client_secret_basic"), client("ed", "EdDSA", "none")],
  jwks: { keys: [key("rsa", { modulusLength: 2048 }, { kid: "r" }), key("ec", { namedCurve: "P-256" }, { kid: "e" }), key("ed25519", {}, { kid: "d" })] },
  claims: { profile: ["preferred_username"] },
  conformIdTokenClaims: false,
  pkce: { required: () => true },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id }) }),
});
provider.listen(port, "127.0.0.1", () => console.log("ready"));
