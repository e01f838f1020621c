// A Parlour of the tests' own on a free port, with a data folder of its own, and the people in it: made with the command line while the
// server runs, each asking as themselves through the SDK's own services.

import assert from 'node:assert/strict';
import {execFile, spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';
import {promisify} from 'node:util';

// node cannot load the package's ES build, which imports folders; `require` takes the CommonJS build.
const require = createRequire(import.meta.url);
const {Endpoints, PrivateMessageService, UserService, apiRequest, http} = require('@selfcommunity/api-services');

// The SDK warns on the console of every refusal, and many are expected.
console.warn = () => {};

const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 40_000;
const POLL_MS = 50;
const COMMAND_DEADLINE_MS = 30_000;

// ---------------------------------------------------------------------------------------------------------------- the server

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOUR_')));
let binary;
let address;
export let dataDir;
export let portal;
let server;
let serverOutput = '';

const parlour = async (...args) => {
  const options = {env: environment, timeout: COMMAND_DEADLINE_MS, cwd: dataDir};
  const {stdout} = await promisify(execFile)(binary, [...args, '--data-dir', dataDir], options);
  return stdout.trim();
};

const freePort = async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const {port} = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
};

const isUp = async () => {
  try {
    return (await fetch(`${portal}/healthz`, {signal: AbortSignal.timeout(1_000)})).ok;
  } catch {
    return false;
  }
};

const hasEnded = () => server.exitCode !== null || server.signalCode !== null;

/** Starts the server on what is there, and waits until it answers. */
const startAgain = async () => {
  server = spawn(binary, ['serve', '--listen', address, '--data-dir', dataDir], {env: environment, cwd: dataDir, stdio: ['ignore', 'pipe', 'pipe']});
  server.on('error', (error) => (serverOutput += error));
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (serverOutput += chunk));

  const deadline = Date.now() + START_DEADLINE_MS;
  while (!(await isUp())) {
    assert.ok(server.pid && !hasEnded() && Date.now() < deadline, `the server did not start:\n${serverOutput}`);
    await pause(POLL_MS);
  }
};

const stopGently = async () => {
  if (!server?.pid || hasEnded()) return;
  const exit = once(server, 'exit');
  server.kill('SIGTERM');
  const ended = await Promise.race([exit, pause(STOP_DEADLINE_MS, undefined, {ref: false})]);
  if (!ended) server.kill('SIGKILL');
  assert.deepEqual(ended, [0, null], `the server did not stop cleanly:\n${serverOutput}`);
};

/** Starts a server with nothing in it, to which all calls of the SDK go from here on. */
export const start = async () => {
  assert.ok(process.env.PARLOUR_BIN, 'PARLOUR_BIN must name the parlour binary');
  binary = resolve(process.env.PARLOUR_BIN);
  dataDir = await mkdtemp(join(tmpdir(), 'parlour-sdk-'));
  address = `127.0.0.1:${await freePort()}`;
  portal = `http://${address}`;
  await startAgain();
  http.setBasePortal(portal);
};

/** Stops the server, which must do so in good order, and starts it again; `meanwhile` runs while it is away. */
export const restart = async (meanwhile = async () => {}) => {
  await stopGently();
  await meanwhile();
  await startAgain();
};

/** Stops the server and removes all it had. */
export const stop = async () => {
  try {
    await stopGently();
  } finally {
    if (dataDir) await rm(dataDir, {recursive: true, force: true});
  }
};

// ---------------------------------------------------------------------------------------------------------------- the people

/** A service of the SDK whose every call is made with this token. */
const askingWith = (token, service) =>
  new Proxy(service, {
    get: (target, method) => (...args) => {
      http.setAuthorizeToken(token);
      return target[method](...args);
    },
  });

export const withToken = (token) => ({
  token,
  pm: askingWith(token, PrivateMessageService),
  users: askingWith(token, UserService),
  /** Any address, as the official UI follows `next`. */
  get: (url) => {
    http.setAuthorizeToken(token);
    return apiRequest({url, method: Endpoints.GetSnippets.method});
  },
});

let lastId = 6;

/** Adds a user, whose name is theirs alone because it carries the id. */
export const person = async (name, ...flags) => {
  const id = (lastId += 1);
  const username = `${name}${id}`;
  await parlour('user', 'add', '--id', String(id), '--username', username, ...flags);
  return {id, username, ...withToken(await parlour('token', '--user', String(id)))};
};

export const follows = (follower, followed) => parlour('follow', String(follower.id), String(followed.id));

/** Two people who follow, and so may write to, each other. */
export const friends = async () => {
  const ann = await person('ann');
  const bob = await person('bob');
  await follows(ann, bob);
  await follows(bob, ann);
  return [ann, bob];
};

export const send = async (from, to, message) => (await from.pm.sendAMessage({recipients: [to.id], message, file_uuid: null}))[0];
