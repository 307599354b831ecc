// An OpenID provider for tests: npm's oidc-provider with one client and access tokens as JWTs.
//
//   node op.mjs PORT
//
// POST /rotate gives it a new signing key; the key set has that one only from then on. Everything else is the provider's:
// GET /jwks, POST /token with grant_type=client_credentials.
import { createServer } from 'node:http';
import { generateKeyPairSync } from 'node:crypto';
import Provider from 'oidc-provider';

const port = Number(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;
let generation = 0;

function provider() {
  generation += 1;
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = { ...privateKey.export({ format: 'jwk' }), kid: `key-${generation}`, use: 'sig', alg: 'ES256' };
  const made = new Provider(issuer, {
    jwks: { keys: [key] },
    clients: [{
      client_id: 'webshop',
      client_secret: 'a-secret-of-the-tests-own',
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
      id_token_signed_response_alg: 'ES256',
    }],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => 'https://shop.example/',
        getResourceServerInfo: () => ({
          scope: 'read write',
          audience: 'shop',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
    scopes: ['read', 'write'],
  });
  return made.callback();
}

let current = provider();
createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/rotate') {
    current = provider();
    response.end(`key-${generation}\n`);
    return;
  }
  current(request, response);
}).listen(port, '127.0.0.1');
