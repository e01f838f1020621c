// A Parlour of the tests' own on a free port, with a data folder of its own; the people in it and what they wrote in earlier days come
// by `parlour import` while the server runs. What the people on the other side see is asked of the API.

import assert from 'node:assert/strict';
import {spawn} from 'node:child_process';
import {once} from 'node:events';
import {mkdtemp, rm} from 'node:fs/promises';
import {createServer} from 'node:net';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {setTimeout as pause} from 'node:timers/promises';

const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 40_000;
const PATIENCE_MS = 30_000;
const POLL_MS = 50;

/** The address by which pages know the server. The browser is told where it really is, and where port 80 of that name is. */
export const PORTAL = 'http://parlour.test:8080';

/** Where the server listens, as `host:port`. */
export let address;

const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('PARLOUR_')));
let binary;
let dataDir;
let server;
let serverOutput = '';

/** Tries until it no longer throws, and answers what it then answers. */
export const eventually = async (assertion, patience = PATIENCE_MS) => {
  const deadline = Date.now() + patience;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await pause(POLL_MS);
  }
};

export const freePort = async () => {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const {port} = probe.address();
  probe.close();
  await once(probe, 'close');
  return port;
};

/** Starts a program that runs until it is stopped; what it says goes to `hear`. */
export const startProgram = (program, args, options, hear) => {
  const child = spawn(program, args, {stdio: ['ignore', 'pipe', 'pipe'], ...options});
  child.on('error', (error) => hear(String(error)));
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => hear(String(chunk)));
  return child;
};

const hasEnded = (child) => child.exitCode !== null || child.signalCode !== null;

/** Waits until something answers there, and gives up if the program has ended. */
export const isUp = (child, url, said) =>
  eventually(async () => {
    if (!child.pid || hasEnded(child)) assert.fail(`nothing serves ${url}:\n${said()}`);
    assert.ok((await fetch(url, {signal: AbortSignal.timeout(5_000)})).ok, `${url} answers`);
  }, START_DEADLINE_MS);

export const stopProgram = async (child) => {
  if (!child?.pid || hasEnded(child)) return undefined;
  const exit = once(child, 'exit');
  child.kill('SIGTERM');
  const ended = await Promise.race([exit, pause(STOP_DEADLINE_MS, undefined, {ref: false})]);
  if (!ended) child.kill('SIGKILL');
  return ended;
};

export const startServer = async () => {
  assert.ok(process.env.PARLOUR_BIN, 'PARLOUR_BIN must name the parlour binary');
  binary = resolve(process.env.PARLOUR_BIN);
  dataDir = await mkdtemp(join(tmpdir(), 'parlour-ui-'));
  address = `127.0.0.1:${await freePort()}`;
  const args = ['serve', '--listen', address, '--public-url', PORTAL, '--data-dir', dataDir];
  server = startProgram(binary, args, {env: environment, cwd: dataDir}, (words) => (serverOutput += words));
  await isUp(server, `http://${address}/healthz`, () => serverOutput);
};

/** Stops the server, which must do so in good order, and removes all it had. */
export const stopServer = async () => {
  try {
    const ended = await stopProgram(server);
    if (server) assert.deepEqual(ended, [0, null], `the server did not stop cleanly:\n${serverOutput}`);
  } finally {
    if (dataDir) await rm(dataDir, {recursive: true, force: true});
  }
};

/** Runs one of Parlour's commands, with `input` as its standard input. */
export const parlour = async (args, input = '') => {
  const child = spawn(binary, [...args, '--data-dir', dataDir], {env: environment, cwd: dataDir});
  const said = {stdout: '', stderr: ''};
  for (const name of ['stdout', 'stderr']) child[name].on('data', (chunk) => (said[name] += chunk));
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  assert.equal(code, 0, `parlour ${args.join(' ')}:\n${said.stderr}`);
  return said.stdout.trim();
};

export const bringIn = (lines) => {
  const rows = [{type: 'parlour', version: 1}, ...lines];
  return parlour(['import', '--strict', '-'], rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
};

let lastId = 6;

/** Adds people whom nobody follows. Each has a name of their own because it carries the id. */
export const strangers = async (...names) => {
  const people = names.map((name) => ({id: (lastId += 1), username: `${name}${lastId}`}));
  await bringIn(people.map(({id, username}) => ({type: 'user', id, username})));
  return Promise.all(people.map(async (person) => ({...person, token: await tokenOf(person)})));
};

export const tokenOf = ({id}) => parlour(['token', '--user', String(id)]);

export const follow = (pairs) => bringIn(pairs.map(([follower, followed]) => ({type: 'follow', follower: follower.id, followed: followed.id})));

/** Adds people who all follow, and so may write to, each other. */
export const friends = async (...names) => {
  const people = await strangers(...names);
  await follow(people.flatMap((one) => people.filter((other) => other !== one).map((other) => [one, other])));
  return people;
};

export const MINUTE = 60_000;

let lastMessage = 0;

/** What they wrote, the earliest first: who, to whom, what, how long ago; `more` may say `unread`. */
export const wrote = (rows) =>
  bringIn(
    rows.map(([sender, receiver, text, ago, more]) => ({
      type: 'message',
      ext_id: `old-${(lastMessage += 1)}`,
      sender: sender.id,
      receiver: receiver.id,
      created_at: new Date(Date.now() - ago).toISOString(),
      text,
      ...more,
    }))
  );

/** Asks the API as somebody; `path` begins after `/api/v2/`. */
export const ask = async (person, path, {method = 'GET', json, expect = [200, 201, 204]} = {}) => {
  const response = await fetch(`http://${address}/api/v2/${path}`, {
    method,
    headers: {authorization: `Bearer ${person.token}`, ...(json && {'content-type': 'application/json'})},
    body: json && JSON.stringify(json),
  });
  const text = await response.text();
  assert.ok(expect.includes(response.status), `${method} ${path}: ${response.status} ${text}`);
  return text ? JSON.parse(text) : undefined;
};

export const send = async (from, to, message) =>
  (await ask(from, 'pm/', {method: 'POST', json: {recipients: [to.id], message, file_uuid: null}}))[0];

/** The newest messages that somebody has with somebody. Reading them marks them as seen. */
export const threadOf = async (person, other) => (await ask(person, `pm/?user=${other.id}&limit=100`)).results;

/** What somebody's list says about the conversation with somebody; `undefined` if it is not in it. */
export const snippetOf = async (person, other) =>
  (await ask(person, 'pm/?limit=100')).results.find(({sender, receiver}) => [sender.id, receiver.id].includes(other.id));

/** The bytes behind a link, fetched without a token. */
export const download = async (link) => {
  assert.ok(link.startsWith(`${PORTAL}/`), `${link} leads to the server`);
  const response = await fetch(link.replace(PORTAL, `http://${address}`));
  assert.equal(response.status, 200, link);
  return {type: response.headers.get('content-type'), bytes: Buffer.from(await response.arrayBuffer())};
};
