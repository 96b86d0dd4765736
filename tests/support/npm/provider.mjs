// oidc-provider, a certified OpenID provider, on a port of loopback, for tests/support/strict_provider.py.
//
// Its arguments are the console's address and the audience of the API. It writes {"issuer": …, "other": …} once both of
// its issuers listen: they share keys, people and clients, as tenants of one provider may. Each line of its input has it
// sign by new keys from then on, which it says with an empty line. It ends with its input.

import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

import Provider from "oidc-provider";

const [home, audience] = process.argv.slice(2);
const API = "https://connect.example/api/"; // and the algorithm that it wants its tokens signed by
const ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA"];
const CONFUSED = "HS256";
const SECRET = "told-to-the-console-and-nobody-else";
const PEOPLE = { ann: ["desk"], bob: ["visitors"] };
const SERVICES = { billing: ["billing"], crm: ["staff"], visitor: [] };

console.info = console.warn = () => {}; // what is for trying things out is right here

const jwk = (type, options) => generateKeyPairSync(type, options).privateKey.export({ format: "jwk" });
const newKeys = () => [jwk("rsa", { modulusLength: 2048 }), jwk("ec", { namedCurve: "P-256" }), jwk("ed25519")];

const signsIn = (client_id, more) => ({
  client_id,
  client_secret: SECRET,
  redirect_uris: [`${home}/sign-in/openid/callback`],
  post_logout_redirect_uris: [`${home}/sign-in`],
  ...more,
});

const clients = [
  ...[...ALGORITHMS, CONFUSED].map((alg) => signsIn(`console-${alg}`, { id_token_signed_response_alg: alg })),
  signsIn("console-post", { token_endpoint_auth_method: "client_secret_post" }),
  signsIn("console-public", { token_endpoint_auth_method: "none", client_secret: undefined }),
  ...Object.keys(SERVICES).map((client_id) => ({
    client_id,
    client_secret: SECRET,
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
  })),
];

const publicPem = (key) => createPublicKey({ key, format: "jwk" }).export({ type: "spki", format: "pem" });

// What a resource's access tokens are like: signed by the algorithm that its address ends with; for CONFUSED, with a public
// key in place of a secret.
const tokensOf = (keys) => (ctx, resource) => {
  const alg = resource.startsWith(API) ? resource.slice(API.length) : "RS256";
  const server = { scope: "desk", audience: resource.startsWith(API) ? audience : resource, accessTokenFormat: "jwt" };
  if (alg === "opaque") return { ...server, accessTokenFormat: "opaque" };
  return { ...server, jwt: { sign: alg === CONFUSED ? { alg, key: Buffer.from(publicPem(keys[0])) } : { alg } } };
};

const cookieKeys = [randomBytes(32).toString("hex")];
const provider = (issuer, keys) =>
  new Provider(issuer, {
    clients,
    jwks: { keys },
    cookies: { keys: cookieKeys },
    scopes: ["openid", "profile"],
    claims: { openid: ["sub"], profile: ["preferred_username", "roles"] },
    pkce: { required: () => true },
    enabledJWA: { idTokenSigningAlgValues: [...ALGORITHMS, CONFUSED] },
    features: {
      clientCredentials: { enabled: true },
      resourceIndicators: { enabled: true, getResourceServerInfo: tokensOf(keys) },
    },
    findAccount: (ctx, sub) =>
      PEOPLE[sub] && {
        accountId: sub,
        claims: () => ({ sub, preferred_username: `${sub}@strict`, roles: PEOPLE[sub] }),
      },
    extraTokenClaims: (ctx, token) => ({ roles: SERVICES[token.clientId] ?? [] }),
  }).callback();

const listening = async () => {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, issuer: `http://127.0.0.1:${server.address().port}` };
};

const listeners = [await listening(), await listening()];
const signByNewKeys = () => {
  const keys = newKeys();
  for (const { server, issuer } of listeners) server.removeAllListeners("request").on("request", provider(issuer, keys));
};

signByNewKeys();
const [{ issuer }, { issuer: other }] = listeners;
process.stdout.write(`${JSON.stringify({ issuer, other })}\n`);
for await (const _ of createInterface({ input: process.stdin })) {
  signByNewKeys();
  process.stdout.write("\n");
}
process.exit();
