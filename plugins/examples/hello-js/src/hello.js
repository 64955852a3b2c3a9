// The first plugin, in JavaScript: whoever knows the PIN may say who they are. As
// `plugins/examples/hello` in Rust, to the letter.
//
// Not for production: one PIN for everybody proves little.

import { get as secret } from 'archstone:plugin/secrets@0.2.0';
import { equal } from 'archstone:plugin/signatures@0.2.0';

const bytes = (text) => new TextEncoder().encode(text);
const denied = (reason, detail) => ({ tag: 'denied', val: { reason, detail } });
const greetingOf = (config) => config.greeting ?? 'hello';

export function describe() {
  return {
    name: 'hello',
    version: '0.1.0',
    summary: 'An example: everybody who knows the PIN',
    proves: 'subject',
    configSchema: JSON.stringify({
      type: 'object',
      properties: {
        greeting: { type: 'string' },
        pin: { type: 'string', minLength: 4 },
      },
      required: ['pin'],
      additionalProperties: false,
    }),
    secretFields: ['pin'],
    serverFields: [],
    capabilities: [],
  };
}

// What is thrown is the error of the contract's `result`.
export function check(config) {
  if (greetingOf(JSON.parse(config)).trim() === '') {
    throw { pointer: '/greeting', message: 'a greeting has to say something' };
  }
}

export function authenticate(step) {
  const config = JSON.parse(step.config);
  const sent = JSON.parse(step.payload);
  if (typeof sent?.name !== 'string' || typeof sent?.pin !== 'string') {
    return denied('malformed', 'the payload is not what this method expects');
  }
  const pin = secret('pin');
  if (pin === undefined) {
    return denied('unavailable', 'no PIN is configured');
  }
  if (!equal(bytes(sent.pin), bytes(pin))) {
    return denied('rejected', 'the PIN is wrong');
  }
  const claims = { greeting: `${greetingOf(config)}, ${sent.name}` };
  return { tag: 'asserted', val: { subject: sent.name, claims: JSON.stringify(claims) } };
}
