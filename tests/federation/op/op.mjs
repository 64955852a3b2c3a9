// An OpenID provider on loopback for the tests, by the certified library oidc-provider. Its pages ask for any name and
// any password; whoever is in `accounts` exists.
//
//   node op.mjs PORT < setup.json
//
// setup: {clients: [...], accounts: {NAME: {password, ...claims}}, keys: [JWK, ...]}. `POST /test/setup` changes parts
// of it while the provider runs: sessions and codes outlive that, as they do when a real one rotates its keys.
import http from 'node:http';
import { text } from 'node:stream/consumers';

import { errors, Provider } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const RESOURCE = 'urn:archstone';
const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
const adapter = createMemoryAdapter();
const setup = JSON.parse(await text(process.stdin));
let handle;

function findAccount(ctx, id) {
  const account = setup.accounts[id];
  if (!account) return undefined;
  const { password, ...claims } = account;
  return { accountId: id, claims: () => ({ sub: id, ...claims }) };
}

// The resource owner's password, which the library leaves to those who still need it (RFC 6749 section 4.3).
async function byPassword(ctx) {
  const { username, password, scope } = ctx.oidc.params;
  const account = setup.accounts[username];
  if (!account || account.password !== password) throw new errors.InvalidGrant('wrong name or password');
  const { provider, client } = ctx.oidc;
  const grant = new provider.Grant({ accountId: username, clientId: client.clientId });
  grant.addOIDCScope(scope);
  const token = new provider.AccessToken({
    accountId: username, client, grantId: await grant.save(), gty: 'password', scope,
  });
  ctx.body = { access_token: await token.save(), token_type: 'Bearer', expires_in: token.expiration, scope };
}

function serve() {
  const provider = new Provider(issuer, {
    adapter,
    clients: setup.clients,
    jwks: { keys: setup.keys },
    findAccount,
    // The library refuses to call loopback addresses, which is where the server under test is.
    fetch: (url, { dispatcher, ...options }) => fetch(url, options),
    cookies: { keys: ['of the tests'] },
    claims: {
      openid: ['sub', 'sid'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'],
    },
    scopes: ['openid', 'offline_access', 'api'],
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      userinfoSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'],
      idTokenEncryptionAlgValues: ['RSA-OAEP', 'RSA-OAEP-256'],
      idTokenEncryptionEncValues: ['A128CBC-HS256', 'A128GCM', 'A256GCM', 'A256CBC-HS512'],
      userinfoEncryptionAlgValues: ['RSA-OAEP', 'RSA-OAEP-256'],
      userinfoEncryptionEncValues: ['A128CBC-HS256', 'A128GCM', 'A256GCM', 'A256CBC-HS512'],
    },
    features: {
      backchannelLogout: { enabled: true },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      encryption: { enabled: true },
      introspection: { enabled: true },
      jwtUserinfo: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: setup.pushed ?? false },
      resourceIndicators: {
        enabled: true,
        defaultResource: (ctx, client, oneOf) => (client.clientId === 'robot' ? RESOURCE : oneOf),
        getResourceServerInfo: () => ({ scope: 'api', audience: RESOURCE, accessTokenFormat: 'jwt' }),
      },
      rpInitiatedLogout: { enabled: true },
    },
    ttl: { Session: 3600, Grant: 3600, Interaction: 600, IdToken: 600, AccessToken: 600, DeviceCode: 600 },
  });
  provider.registerGrantType('password', byPassword, ['username', 'password', 'scope']);
  provider.on('server_error', (ctx, error) => console.error(error));
  provider.on('backchannel.error', (ctx, error) => console.error(error));
  const callback = provider.callback();
  handle = callback;
}

serve();
http.createServer(async (request, response) => {
  if (request.url !== '/test/setup') return handle(request, response);
  try {
    Object.assign(setup, JSON.parse(await text(request)));
    serve();
    response.end();
  } catch (error) {
    response.statusCode = 500;
    response.end(String(error));
  }
}).listen(port, '127.0.0.1', () => console.log('serving'));
