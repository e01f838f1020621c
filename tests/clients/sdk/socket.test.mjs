// Acceptance test: the official websocket client, `WSClient` of @selfcommunity/utils, as published and unmodified, on a real socket to a
// running Parlour, with the options that the official UI gives it. Only its clock is the test's: five seconds between two heartbeats
// pass when the test says so. Node 20 has no websocket of its own; `ws` takes its place.

import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {after, afterEach, before, beforeEach, mock, test} from 'node:test';
import {setTimeout as pause} from 'node:timers/promises';
import {WebSocket} from 'ws';
import {friends, person, portal, restart, send, start, stop} from './community.mjs';

const require = createRequire(import.meta.url);
const {WSClient} = require('@selfcommunity/utils');

const HEARTBEAT = '--1a61c1de89b75ddfbb684b8d224ee3ae--';
const BEAT_MS = 5_000;
const TWENTY_MINUTES = (20 * 60_000) / BEAT_MS;
const PATIENCE_MS = 30_000;
const POLL_MS = 5;

/** A server allows 50 frames a second, which a real client's heart never reaches. */
const PACE_MS = 30;

/** The platform's socket as the client knows it, which also counts heartbeats. */
class CountingSocket extends WebSocket {
  static sent = 0;
  static heard = 0;

  constructor(...args) {
    super(...args);
    this.addEventListener('message', ({data}) => (CountingSocket.heard += data === HEARTBEAT));
  }

  send(text) {
    CountingSocket.sent += text === HEARTBEAT;
    super.send(text);
  }
}

const until = async (what, condition) => {
  const deadline = Date.now() + PATIENCE_MS;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`);
    await pause(POLL_MS);
  }
};

const open = [];

/** A tab of the official UI in which somebody is signed in. */
const tab = async (user) => {
  const seen = {connected: 0, disconnected: [], pushed: []};
  const client = new WSClient({
    uri: `${portal.replace('http', 'ws')}/ws/notify?subscribe-user`,
    protocols: [`__${user.token}`],
    heartbeatMsg: HEARTBEAT,
    connected: () => (seen.connected += 1),
    receiveMessage: (text) => seen.pushed.push(JSON.parse(text)),
    disconnected: ({code}) => seen.disconnected.push(code),
  });
  open.push(client);
  await until('the client is connected', () => client.isConnected());
  return {client, seen};
};

before(async () => {
  globalThis.WebSocket = CountingSocket;
  await start();
});
after(stop);

beforeEach(() => mock.timers.enable({apis: ['setInterval']}));

afterEach(() => {
  for (const client of open.splice(0)) client.close();
  mock.timers.reset();
});

/** What a push of a message says to the UI. */
const isPush = (push, {type, from, to, message, thread, counted}) => {
  assert.equal(push.type, 'interaction');
  const {data} = push;
  assert.equal(data.activity_type, type);
  assert.equal(data.thread_id, thread);
  assert.equal(data.feed_serialization_id, String(message.id));
  assert.equal(data.count_interactions, counted);
  const {notification_obj: notification} = data;
  assert.equal(notification.sid, String(message.id));
  assert.equal(notification.message.id, message.id);
  assert.equal(notification.message.thread_id, thread);
  if (type !== 37) return;
  assert.equal(data.count_notification_banners, 0);
  assert.equal(notification.type, 'private_message');
  assert.equal(notification.is_new, true);
  assert.equal(notification.message.message, message.message);
  assert.equal(notification.message.sender.id, from.id);
  assert.equal(notification.message.group, null);
  assert.equal(notification.snippet.id, thread);
  assert.equal(notification.snippet.thread_status, 'new');
  assert.equal(notification.snippet.headline, message.message);
  assert.equal(notification.snippet.group, null);
  assert.deepEqual([notification.snippet.sender.id, notification.snippet.receiver.id].sort(), [from.id, to.id].sort());
};

test('the client stays connected through twenty minutes of heartbeats, and is pushed to behind them', async () => {
  const [ann, bob] = await friends();
  const {client, seen} = await tab(bob);
  const before = CountingSocket.sent;
  for (let beat = 1; beat <= TWENTY_MINUTES; beat += 1) {
    const heard = CountingSocket.heard;
    mock.timers.tick(BEAT_MS);
    await until('the heartbeat comes back', () => CountingSocket.heard > heard);
    await pause(PACE_MS);
  }
  assert.equal(CountingSocket.sent - before, TWENTY_MINUTES);
  assert.ok(client.isConnected());
  assert.deepEqual(seen, {connected: 1, disconnected: [], pushed: []});
  const sent = await send(ann, bob, 'Still there?');
  await until('it is pushed', () => seen.pushed.length > 0);
  isPush(seen.pushed[0], {type: 37, from: ann, to: bob, message: sent, thread: sent.thread_id, counted: 1});
});

test('a message and its deletion reach every tab of the one to whom it was sent, once, and no tab of the sender', async () => {
  const [ann, bob] = await friends();
  const tabs = [await tab(bob), await tab(bob)];
  const own = await tab(ann);
  const first = await send(ann, bob, 'One & <b>two</b>');
  const second = await send(ann, bob, 'Three');
  for (const {seen} of tabs) {
    await until('both are pushed', () => seen.pushed.length >= 2);
    const thread = first.thread_id;
    isPush(seen.pushed[0], {type: 37, from: ann, to: bob, message: first, thread, counted: seen.pushed[0].data.count_interactions});
    isPush(seen.pushed[1], {type: 37, from: ann, to: bob, message: second, thread, counted: 2});
    assert.doesNotMatch(seen.pushed[0].data.notification_obj.message.message, /<b>/, 'markup comes without effect');
  }
  await ann.pm.deleteAMessage(first.id);
  for (const {seen} of tabs) {
    await until('the deletion is pushed', () => seen.pushed.length >= 3);
    isPush(seen.pushed[2], {type: 105, from: ann, to: bob, message: first, thread: first.thread_id, counted: undefined});
  }
  // What the sender's tab gets at last is not its own.
  const answer = await send(bob, ann, 'What was that?');
  await until('the answer is pushed', () => own.seen.pushed.length > 0);
  isPush(own.seen.pushed[0], {type: 37, from: bob, to: ann, message: answer, thread: answer.thread_id, counted: 1});
  for (const {seen} of tabs) assert.equal(seen.pushed.length, 3);
});

test('the client comes back by itself after a restart of the server, and is pushed to again', async () => {
  const [ann, bob] = await friends();
  const {client, seen} = await tab(bob);
  await restart(() => until('the client notices', () => seen.disconnected.length > 0));
  assert.equal(seen.disconnected[0], 1001);
  await until('the client is connected again', () => client.isConnected() && seen.connected === 2);
  const sent = await send(ann, bob, 'Back again?');
  await until('it is pushed', () => seen.pushed.length > 0);
  isPush(seen.pushed[0], {type: 37, from: ann, to: bob, message: sent, thread: sent.thread_id, counted: 1});
});

test('a client without a good token never gets in', async () => {
  const bob = await person('bob');
  const seen = {connected: 0, failed: 0};
  const client = new WSClient({
    uri: `${portal.replace('http', 'ws')}/ws/notify?subscribe-user`,
    protocols: [`__${bob.token}x`],
    heartbeatMsg: HEARTBEAT,
    mustReconnect: false,
    connected: () => (seen.connected += 1),
    disconnected: () => (seen.failed += 1),
  });
  await until('the client is refused', () => seen.failed > 0);
  assert.equal(seen.connected, 0);
  assert.ok(client.isClosed());
});
