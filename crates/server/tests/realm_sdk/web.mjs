// node web.mjs BASE_URL APP_ID: logs in and out with realm-web, the official client of the HTTP API alone.
import assert from "node:assert/strict";
import { App, Credentials } from "realm-web";

const [baseUrl, id] = process.argv.slice(2);
const app = new App({ id, baseUrl });

const first = await app.logIn(Credentials.anonymous());
assert.match(first.id, /^[0-9a-f]{24}$/);
assert.equal(app.currentUser, first);
assert.equal(first.isLoggedIn, true);
assert.deepEqual(first.identities.map(({ providerType }) => providerType), ["anon-user"]);
await first.refreshProfile();
assert.equal(first.profile.type ?? "normal", "normal");

const before = first.accessToken;
await first.refreshAccessToken();
assert.equal(typeof first.accessToken, "string");
assert.notEqual(before, null);

const second = await app.logIn(Credentials.anonymous(false));
assert.notEqual(second.id, first.id);
await second.logOut();
assert.equal(second.isLoggedIn, false);
assert.equal(app.currentUser, first);

const ended = { refresh: first.refreshToken, access: first.accessToken };
await first.logOut();
assert.equal(app.currentUser, null);
const refreshed = await fetch(`${baseUrl}/api/client/v2.0/auth/session`, {
  method: "POST",
  headers: { authorization: `Bearer ${ended.refresh}` },
});
assert.equal(refreshed.status, 401, "a refresh token is good for nothing after the logout");
const confused = await fetch(`${baseUrl}/api/client/v2.0/auth/session`, {
  method: "POST",
  headers: { authorization: `Bearer ${ended.access}` },
});
assert.equal(confused.status, 401, "an access token is not a refresh token");
