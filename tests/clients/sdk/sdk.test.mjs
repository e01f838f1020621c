// Acceptance test: the official SelfCommunity JavaScript SDK, as published and unmodified, in node against a running Parlour.
//
//     npm ci
//     PARLOUR_BIN=path/to/parlour npm test
//
// Each file starts a server of its own on a free port with a data folder of its own, and removes both at the end. Every test makes its
// own people with the command line, while the server runs, and asks as one of them through the SDK's own services.

import assert from 'node:assert/strict';
import {createHash, randomBytes} from 'node:crypto';
import {readFile} from 'node:fs/promises';
import {createRequire} from 'node:module';
import {join} from 'node:path';
import {after, before, test} from 'node:test';
import {dataDir, follows, friends, person, portal, send, start, stop, withToken} from './community.mjs';

const require = createRequire(import.meta.url);
const {formatHttpError, formatHttpErrorCode, generateJWTToken, parseJwt} = require('@selfcommunity/api-services');

before(start);
after(stop);

// ------------------------------------------------------------------------------------------------------------ what they expect

const ids = (rows) => rows.map((row) => row.id);
const texts = (page) => page.results.map((row) => row.message);
const snippetWith = async (owner, other) =>
  (await owner.pm.getAllSnippets({params: {limit: 100}})).results.find((row) => [row.sender.id, row.receiver.id].includes(other.id));

const isWholeNumber = (value, name) => assert.ok(Number.isSafeInteger(value), `${name} is a number, not ${JSON.stringify(value)}`);
const isDate = (value, name) => {
  assert.equal(typeof value, 'string', name);
  assert.match(value, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/, name);
};

const isUser = (user, expected) => {
  assert.equal(user.id, expected.id);
  assert.equal(user.username, expected.username);
  assert.equal(user.deleted, false);
  for (const key of ['real_name', 'avatar', 'community_badge']) assert.ok(key in user, `a user has ${key}`);
};

const isMessage = (row, {from, to, message, thread}) => {
  isWholeNumber(row.id, 'id');
  isWholeNumber(row.thread_id, 'thread_id');
  if (thread) assert.equal(row.thread_id, thread);
  isUser(row.sender, from);
  assert.equal(row.sender_id, from.id);
  isUser(row.receiver, to);
  assert.equal(row.group, null);
  assert.equal(row.message, message);
  assert.equal(row.headline, message);
  assert.equal(row.status, 'created');
  assert.equal(row.file, null);
  isDate(row.created_at, 'created_at');
  isDate(row.last_message_at, 'last_message_at');
  assert.ok(['new', 'seen'].includes(row.thread_status), 'thread_status');
};

const isPage = (page, {rows, count, next}) => {
  assert.equal(page.results.length, rows);
  assert.equal(page.count, count);
  if (next) assert.ok(page.next?.startsWith(`${portal}/api/v2/`), `next is an absolute address of this server, not ${page.next}`);
  else assert.equal(page.next, null);
};

/** `next` of a thread, rewritten as the official UI does it: by the oldest message shown instead of by an offset. */
const olderThan = (page) => {
  const next = new URL(page.next);
  next.searchParams.set('before_message', page.results[0].id);
  next.searchParams.delete('offset');
  return next.toString();
};

/** The call is refused with this status, and with a body out of which the SDK's own helpers read these codes. */
const refused = async (call, status, codes) => {
  const error = await call.then(
    (answer) => assert.fail(`expected ${status}, got the answer ${JSON.stringify(answer)}`),
    (thrown) => thrown
  );
  assert.equal(error.isAxiosError, true, String(error.stack));
  assert.equal(error.response.status, status, JSON.stringify(error.response.data));
  assert.ok(error.response.data.errors, 'the body has errors, or the SDK cannot read it');
  assert.equal(typeof error.response.data.detail, 'string');
  const read = formatHttpErrorCode(error);
  if (codes) assert.deepEqual(read, codes);
  // In words instead of codes: the same places, and something to show in each.
  const words = formatHttpError(error);
  assert.deepEqual(Object.keys(words), Object.keys(read));
  for (const value of Object.values(words)) assert.ok(typeof value === 'string' ? value : value.error, 'an error says something');
  return error;
};

const REQUIRED = {error: 'required'};
const FORBIDDEN = {error: 'permission_denied'};
const NOT_FOUND = {error: 'not_found'};

/** An id that no user, thread or message has. */
const NOBODY = 4_000_000_000;

// -------------------------------------------------------------------------------------------------------------------- sending

test('ann writes to bob, named by his id alone, and gets a list of one message', async () => {
  const [ann, bob] = await friends();
  const sent = await ann.pm.sendAMessage({recipients: bob.id, message: 'Hello Bob'});
  assert.ok(Array.isArray(sent));
  assert.equal(sent.length, 1);
  isMessage(sent[0], {from: ann, to: bob, message: 'Hello Bob'});
  assert.equal(sent[0].thread_status, 'seen');
  assert.ok(Math.abs(Date.now() - Date.parse(sent[0].created_at)) < 30_000, 'sent just now');
});

test('ann writes to bob and cay at once, and gets one message each, in her order, in threads of their own', async () => {
  const [ann, bob] = await friends();
  const cay = await person('cay');
  await follows(cay, ann);
  const sent = await ann.pm.sendAMessage({recipients: [cay.id, bob.id], message: 'Hello both', file_uuid: null});
  assert.equal(sent.length, 2);
  isMessage(sent[0], {from: ann, to: cay, message: 'Hello both'});
  isMessage(sent[1], {from: ann, to: bob, message: 'Hello both'});
  assert.notEqual(sent[0].thread_id, sent[1].thread_id);
  assert.notEqual(sent[0].id, sent[1].id);
  assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), ['Hello both']);
  assert.deepEqual(texts(await cay.pm.getAThread({user: ann.id})), ['Hello both']);
});

test('ann and bob write to and fro in one thread', async () => {
  const [ann, bob] = await friends();
  const question = await send(ann, bob, 'Tea?');
  const answer = await send(bob, ann, 'Coffee.');
  assert.equal(answer.thread_id, question.thread_id);
  assert.ok(answer.id > question.id, 'ids grow with time');
  assert.deepEqual(texts(await ann.pm.getAThread({user: bob.id})), ['Tea?', 'Coffee.']);
  assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), ['Tea?', 'Coffee.']);
});

test('text without markup arrives as typed, line breaks and other scripts included', async () => {
  const [ann, bob] = await friends();
  const message = 'Zwei Zeilen,\n  schön 🙂 日本語 \\ %20 {}';
  assert.equal((await send(ann, bob, message)).message, message);
  assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), [message]);
});

test('markup in a message comes back escaped, wherever it is shown', async () => {
  const [ann, bob] = await friends();
  const escaped = '&lt;img src=x onerror=alert(1)&gt; &amp; &lt;b&gt;bold&lt;/b&gt;';
  const sent = await send(ann, bob, '<img src=x onerror=alert(1)> & <b>bold</b>');
  const single = await bob.pm.getASingleMessage(sent.id);
  const snippet = await snippetWith(bob, ann);
  const [row] = (await bob.pm.getAThread({user: ann.id})).results;
  for (const shown of [sent, single, snippet, row]) {
    assert.equal(shown.message, escaped);
    assert.equal(shown.headline, escaped);
  }
});

test('a message without recipients, without text or with a file that does not exist is refused, field by field', async () => {
  const [ann, bob] = await friends();
  await refused(ann.pm.sendAMessage({recipients: [], message: 'To whom?', file_uuid: null}), 400, {recipientsError: REQUIRED});
  await refused(ann.pm.sendAMessage({message: 'To whom?'}), 400, {recipientsError: REQUIRED});
  await refused(ann.pm.sendAMessage({recipients: [bob.id], message: '', file_uuid: null}), 400, {messageError: REQUIRED});
  await refused(ann.pm.sendAMessage({recipients: [bob.id], message: ' \n', file_uuid: null}), 400, {messageError: {error: 'blank'}});
  await refused(ann.pm.sendAMessage({recipients: [NOBODY], message: 'Hello?', file_uuid: null}), 400, {recipientsError: {error: 'does_not_exist'}});
  const ghost = ann.pm.sendAMessage({recipients: [bob.id], message: '', file_uuid: '00000000-0000-4000-8000-000000000000'});
  assert.deepEqual(Object.keys(formatHttpErrorCode(await refused(ghost, 400))), ['fileUuidError']);
  assert.deepEqual((await ann.pm.getAllSnippets()).results, [], 'nothing was sent');
});

test('ann cannot write to cay until cay follows her, and one refusal stops the whole send', async () => {
  const [ann, bob] = await friends();
  const cay = await person('cay');
  await follows(ann, cay);
  await refused(ann.pm.sendAMessage({recipients: [cay.id], message: 'Hello'}), 403, FORBIDDEN);
  await refused(ann.pm.sendAMessage({recipients: [bob.id, cay.id], message: 'Hello'}), 403, FORBIDDEN);
  assert.deepEqual((await bob.pm.getAllSnippets()).results, []);
  await cay.users.followUser(ann.id);
  isMessage(await send(ann, cay, 'Hello'), {from: ann, to: cay, message: 'Hello'});
});

test('a moderator writes to whoever it may be, and anybody writes to a moderator', async () => {
  const mia = await person('mia', '--role', 'moderator');
  const dan = await person('dan');
  isMessage(await send(mia, dan, 'Welcome'), {from: mia, to: dan, message: 'Welcome'});
  isMessage(await send(dan, mia, 'Thanks'), {from: dan, to: mia, message: 'Thanks'});
});

// ------------------------------------------------------------------------------------------------------------------ attaching

/** What the official uploader puts into one part of a file. */
const PART_BYTES = 204_800;

/** Without this the SDK's client makes JSON of a form, in node. */
const AS_FORM = {headers: {'Content-Type': 'multipart/form-data'}};

/** An image of one pixel. */
const PIXEL = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==', 'base64');

const pdfOf = (bytes) => Buffer.concat([Buffer.from('%PDF-1.7\n'), randomBytes(bytes - 9)]);

const form = (fields) => {
  const data = new FormData();
  for (const [name, value] of Object.entries(fields)) data.append(name, value);
  return data;
};

const fileOf = (bytes, name, type) => new File([bytes], name, {type});

/** Opens a link as a page does: with no token. */
const download = async (url) => {
  assert.ok(url.startsWith(`${portal}/media/`), `a link is an absolute address of this server, not ${url}`);
  const answer = await fetch(url, {headers: {Origin: 'https://app.example'}});
  assert.equal(answer.status, 200);
  assert.equal(answer.headers.get('access-control-allow-origin'), '*');
  return {bytes: Buffer.from(await answer.arrayBuffer()), type: answer.headers.get('content-type')};
};

/** Uploads a file in parts, as the official UI cuts it; answers its uuid. */
const uploadInParts = async (person, bytes, name, type) => {
  const total = Math.ceil(bytes.length / PART_BYTES);
  let uuid;
  for (let index = 0; index < total; index += 1) {
    const part = bytes.subarray(index * PART_BYTES, (index + 1) * PART_BYTES);
    const fields = {partindex: index, totalparts: total, ...(uuid && {uuid}), file: fileOf(part, name, type)};
    const answer = await person.pm.uploadMediaInChunks(form(fields), AS_FORM);
    uuid ??= answer.file_uuid;
    assert.equal(answer.file_uuid, uuid, 'one file has one uuid');
  }
  return uuid;
};

/** Sends a file, and sees it as the receiver does, in the thread and by itself. */
const sendAndSee = async (from, to, uuid) => {
  const [sent] = await from.pm.sendAMessage({recipients: [to.id], message: '', file_uuid: uuid});
  const page = await to.pm.getAThread({user: from.id, limit: 1});
  const [row] = page.results;
  assert.equal(row.id, sent.id);
  assert.deepEqual((await to.pm.getASingleMessage(sent.id)).file, row.file);
  assert.deepEqual({...row.file, url: null, thumbnail: null}, {...sent.file, url: null, thumbnail: null});
  return row.file;
};

test('ann uploads a file whole, says that it is done, adds a thumbnail, and sends it by the thumbnail\'s uuid', async () => {
  const [ann, bob] = await friends();
  const bytes = pdfOf(13_721);
  const whole = await ann.pm.uploadMedia(form({file: fileOf(bytes, 'plan.pdf', 'application/pdf')}), AS_FORM);
  const done = await ann.pm.chunkUploadDone(form({uuid: whole.file_uuid, filename: 'plan.pdf', totalparts: 1}), AS_FORM);
  assert.equal(done.file_uuid, whole.file_uuid);
  assert.deepEqual((await download(done.file_url)).bytes, bytes);
  const picture = form({file: fileOf(PIXEL, 'plan.pdf.jpeg', 'image/png'), parentuuid: whole.file_uuid});
  const thumbnail = await ann.pm.uploadThumbnail(picture, AS_FORM);
  assert.equal(thumbnail.parent_file_uuid, whole.file_uuid);
  assert.notEqual(thumbnail.file_uuid, whole.file_uuid);
  assert.match((await download(thumbnail.file_url)).type, /^image\//);

  const file = await sendAndSee(ann, bob, thumbnail.file_uuid);
  assert.deepEqual(Object.keys(file).sort(), ['duration', 'filename', 'filesize', 'mimetype', 'thumbnail', 'url', 'uuid']);
  assert.equal(file.uuid, whole.file_uuid);
  assert.equal(file.filename, 'plan.pdf');
  assert.equal(file.filesize, bytes.length);
  assert.equal(file.mimetype, 'application/pdf');
  assert.deepEqual(await download(file.url), {bytes, type: 'application/pdf'});
  assert.match((await download(file.thumbnail)).type, /^image\//);
  assert.equal((await snippetWith(bob, ann)).headline, 'plan.pdf');
});

for (const [as, done] of [
  ['a form', (person, fields) => person.pm.chunkUploadDone(form(fields), AS_FORM)],
  ['a plain object, which the SDK sends as JSON', (person, fields) => person.pm.chunkUploadDone(fields)],
]) {
  test(`ann uploads a file in parts and says that it is done with ${as}, twice`, async () => {
    const [ann, bob] = await friends();
    const bytes = pdfOf(2 * PART_BYTES + 100_000);
    const uuid = await uploadInParts(ann, bytes, 'film.pdf', 'application/pdf');
    const md5 = createHash('md5').update(bytes).digest('hex');
    for (let time = 0; time < 2; time += 1) {
      const answer = await done(ann, {uuid, filename: 'film.pdf', totalparts: 3, md5});
      assert.equal(answer.file_uuid, uuid);
      assert.deepEqual((await download(answer.file_url)).bytes, bytes);
    }
    const file = await sendAndSee(ann, bob, uuid);
    assert.equal(file.uuid, uuid);
    assert.equal(file.thumbnail, null);
    assert.deepEqual((await download(file.url)).bytes, bytes);
  });
}

test('an image has a thumbnail though ann sends none', async () => {
  const [ann, bob] = await friends();
  const image = await ann.pm.uploadMedia(form({file: fileOf(PIXEL, 'pixel.png', 'image/png')}), AS_FORM);
  const file = await sendAndSee(ann, bob, image.file_uuid);
  assert.equal(file.mimetype, 'image/png');
  assert.match((await download(file.url)).type, /^image\/png/);
  assert.match((await download(file.thumbnail)).type, /^image\//);
});

test('uploads that are wrong are refused under the field\'s name, as the SDK reads it', async () => {
  const [ann, bob] = await friends();
  const file = fileOf(pdfOf(1_000), 'a.pdf', 'application/pdf');
  await refused(ann.pm.uploadMedia(form({file})), 400, {fileError: REQUIRED});
  await refused(ann.pm.uploadMediaInChunks(form({file, partindex: 0, totalparts: 2})), 400);
  await refused(ann.pm.uploadThumbnail(form({file, parentuuid: 'x'})), 400);
  await refused(ann.pm.uploadMedia(form({file, md5: '0'.repeat(32)}), AS_FORM), 400, {md5Error: {error: 'md5_mismatch'}});
  await refused(ann.pm.uploadMedia(form({file: fileOf('<svg/>', 'a.png', 'image/png')}), AS_FORM), 400, {fileError: {error: 'unsupported_type'}});
  await refused(ann.pm.chunkUploadDone({uuid: 'null', filename: 'a.pdf', totalparts: 1}), 400);
  const {file_uuid: uuid} = await ann.pm.uploadMedia(form({file}), AS_FORM);
  await refused(bob.pm.chunkUploadDone({uuid, filename: 'a.pdf', totalparts: 1}), 400, {uuidError: {error: 'does_not_exist'}});
  await refused(bob.pm.sendAMessage({recipients: [ann.id], message: '', file_uuid: uuid}), 400, {fileUuidError: {error: 'does_not_exist'}});
});

test('a file stops being readable when ann takes its message back', async () => {
  const [ann, bob] = await friends();
  const {file_uuid: uuid} = await ann.pm.uploadMedia(form({file: fileOf(pdfOf(500), 'a.pdf', 'application/pdf')}), AS_FORM);
  const file = await sendAndSee(ann, bob, uuid);
  const [row] = (await bob.pm.getAThread({user: ann.id})).results;
  await download(file.url);
  await ann.pm.deleteAMessage(row.id);
  assert.equal((await fetch(file.url)).status, 404);
});

// -------------------------------------------------------------------------------------------------------------------- reading

test('bob reads the thread by its id, and by ann\'s with the other left undefined, and sees the same', async () => {
  const [ann, bob] = await friends();
  const {thread_id: thread} = await send(ann, bob, 'One');
  await send(bob, ann, 'Two');
  const byThread = await bob.pm.getAThread({thread, user: undefined});
  const byUser = await bob.pm.getAThread({thread: undefined, user: ann.id});
  assert.deepEqual(byUser.results, byThread.results);
  isPage(byThread, {rows: 2, count: 2, next: false});
  assert.equal(byThread.previous, null);
  isMessage(byThread.results[0], {from: ann, to: bob, message: 'One', thread});
  isMessage(byThread.results[1], {from: bob, to: ann, message: 'Two', thread});
});

test('25 messages in pages of 10: following next as the UI does, bob gets 10, 10 and 5, nothing twice', async () => {
  const [ann, bob] = await friends();
  const sent = [];
  for (let n = 1; n <= 25; n += 1) sent.push((await send(ann, bob, `Message ${n}`)).id);

  const first = await bob.pm.getAThread({user: ann.id, limit: 10});
  isPage(first, {rows: 10, count: 25, next: true});
  assert.deepEqual(ids(first.results), sent.slice(15), 'the newest, oldest first');
  const kept = new URL(first.next).searchParams;
  assert.deepEqual([kept.get('user'), kept.get('limit')], [String(ann.id), '10']);

  const second = await bob.get(olderThan(first));
  isPage(second, {rows: 10, count: 15, next: true});
  assert.deepEqual(ids(second.results), sent.slice(5, 15));

  const third = await bob.get(olderThan(second));
  isPage(third, {rows: 5, count: 5, next: false});
  assert.deepEqual(ids(third.results), sent.slice(0, 5));
});

test('next as it stands leads to older messages too', async () => {
  const [ann, bob] = await friends();
  const sent = [];
  for (let n = 1; n <= 5; n += 1) sent.push((await send(ann, bob, `Message ${n}`)).id);
  const pages = [await bob.pm.getAThread({user: ann.id, limit: 2})];
  while (pages.at(-1).next) pages.push(await bob.get(pages.at(-1).next));
  assert.deepEqual(pages.map((page) => ids(page.results)), [sent.slice(3), sent.slice(1, 3), sent.slice(0, 1)]);
});

test('a message that comes in between two pages shifts nothing', async () => {
  const [ann, bob] = await friends();
  const sent = [];
  for (let n = 1; n <= 5; n += 1) sent.push((await send(ann, bob, `Message ${n}`)).id);
  const first = await bob.pm.getAThread({user: ann.id, limit: 2});
  await send(ann, bob, 'In between');
  const second = await bob.get(olderThan(first));
  assert.deepEqual(ids([...second.results, ...first.results]), sent.slice(1));
});

test('a thread of exactly one page has no next', async () => {
  const [ann, bob] = await friends();
  for (let n = 1; n <= 3; n += 1) await send(ann, bob, `Message ${n}`);
  isPage(await bob.pm.getAThread({user: ann.id, limit: 3}), {rows: 3, count: 3, next: false});
});

test('before_message leaves its message out, from_message takes it in', async () => {
  const [ann, bob] = await friends();
  const sent = [];
  for (let n = 1; n <= 6; n += 1) sent.push((await send(ann, bob, `Message ${n}`)).id);
  const range = async (params) => ids((await bob.pm.getAThread({user: ann.id, ...params})).results);
  assert.deepEqual(await range({before_message: sent[3]}), sent.slice(0, 3));
  assert.deepEqual(await range({from_message: sent[3]}), sent.slice(3));
  assert.deepEqual(await range({from_message: sent[1], before_message: sent[4]}), sent.slice(1, 4));
  assert.deepEqual(await range({from_message: sent[1], limit: 2}), sent.slice(4), 'the newest of the range');
  assert.deepEqual(await range({before_message: sent[4], limit: 2}), sent.slice(2, 4));
});

test('ann asks for the thread with a user she never wrote to, and gets an empty page, and no thread', async () => {
  const [ann, bob] = await friends();
  assert.deepEqual(await ann.pm.getAThread({user: bob.id, limit: 10}), {count: 0, next: null, previous: null, results: []});
  assert.deepEqual((await ann.pm.getAllSnippets()).results, []);
  assert.deepEqual((await bob.pm.getAllSnippets()).results, []);
});

test('reading the thread is what makes it seen, for the reader alone', async () => {
  const [ann, bob] = await friends();
  const {id} = await send(ann, bob, 'Hello');
  await send(bob, ann, 'Hello yourself');
  await send(ann, bob, 'News?');
  await bob.pm.getASingleMessage(id);
  await bob.pm.getAllSnippets();
  assert.equal((await snippetWith(bob, ann)).thread_status, 'new', 'neither a single message nor the list was a reading');
  assert.equal((await bob.users.getCurrentUser()).unseen_interactions_counter, 1);

  const page = await bob.pm.getAThread({user: ann.id, limit: 10});
  for (const row of page.results) assert.equal(row.thread_status, 'seen');
  assert.equal((await snippetWith(bob, ann)).thread_status, 'seen');
  assert.equal((await bob.users.getCurrentUser()).unseen_interactions_counter, 0);

  assert.equal((await snippetWith(ann, bob)).thread_status, 'seen');
  await send(bob, ann, 'None.');
  await bob.pm.getAThread({user: ann.id, limit: 10});
  assert.equal((await snippetWith(ann, bob)).thread_status, 'new', 'bob reading it changes nothing for ann');
});

test('both sides get a single message, a stranger does not', async () => {
  const [ann, bob] = await friends();
  const eve = await person('eve');
  const sent = await send(ann, bob, 'Between us');
  for (const reader of [ann, bob]) {
    const message = await reader.pm.getASingleMessage(sent.id);
    isMessage(message, {from: ann, to: bob, message: 'Between us', thread: sent.thread_id});
    assert.equal(message.id, sent.id);
  }
  await refused(eve.pm.getASingleMessage(sent.id), 404, NOT_FOUND);
  await refused(ann.pm.getASingleMessage(NOBODY), 404, NOT_FOUND);
});

test('a thread of others, and a thread or user that does not exist, are not found', async () => {
  const [ann, bob] = await friends();
  const eve = await person('eve');
  const {thread_id: thread} = await send(ann, bob, 'Between us');
  await refused(eve.pm.getAThread({thread, user: undefined}), 404, NOT_FOUND);
  await refused(eve.pm.getAThread({thread: NOBODY}), 404, NOT_FOUND);
  await refused(eve.pm.getAThread({user: NOBODY}), 404, NOT_FOUND);
});

test('a user id that is no number is refused under its name', async () => {
  const ann = await person('ann');
  await refused(ann.pm.getAThread({user: 'bob'}), 400, {userError: {error: 'invalid'}});
});

// ----------------------------------------------------------------------------------------------------------- the conversations

test('a conversation in the list carries what the UI reads', async () => {
  const [ann, bob] = await friends();
  const first = await send(ann, bob, 'First');
  const last = await send(ann, bob, 'Last');
  for (const [owner, other, status] of [[ann, bob, 'seen'], [bob, ann, 'new']]) {
    const page = await owner.pm.getAllSnippets();
    isPage(page, {rows: 1, count: 1, next: false});
    const [row] = page.results;
    assert.equal(row.id, first.thread_id, 'the id is the thread\'s');
    if ('thread_id' in row) assert.equal(row.thread_id, first.thread_id);
    assert.deepEqual([row.sender.id, row.receiver.id].sort((a, b) => a - b), [ann.id, bob.id]);
    isUser(row.sender.id === other.id ? row.sender : row.receiver, other);
    assert.equal(row.group, null);
    assert.equal(row.headline, 'Last');
    assert.equal(row.message, 'Last');
    assert.equal(row.thread_status, status);
    assert.equal(row.last_message_at, last.created_at);
    isDate(row.created_at, 'created_at');
  }
});

test('mia follows next through her 23 conversations, latest first, with the default page and with pages of 10', async () => {
  const mia = await person('mia', '--role', 'moderator');
  const threads = [];
  for (let n = 0; n < 23; n += 1) threads.unshift((await send(mia, await person('guest'), 'Welcome')).thread_id);

  const walk = async (config) => {
    const pages = [await mia.pm.getAllSnippets(config)];
    while (pages.at(-1).next) pages.push(await mia.get(pages.at(-1).next));
    return pages;
  };
  const byDefault = await walk();
  assert.ok(byDefault.length > 1, '23 do not fit on a default page');
  assert.deepEqual(byDefault.flatMap((page) => ids(page.results)), threads);
  const byTen = await walk({params: {limit: 10}});
  assert.deepEqual(byTen.map((page) => page.results.length), [10, 10, 3]);
  assert.deepEqual(byTen.flatMap((page) => ids(page.results)), threads);
  assert.equal(byTen[0].count, 23);
  const byOffset = await mia.pm.getAllSnippets({params: {limit: 10, offset: 20}});
  assert.deepEqual(ids(byOffset.results), threads.slice(20));
});

// ------------------------------------------------------------------------------------------------------------------- deleting

test('ann takes a message back, and it is gone for both', async () => {
  const [ann, bob] = await friends();
  await send(ann, bob, 'Stays');
  const slip = await send(ann, bob, 'Slip');
  assert.equal(await ann.pm.deleteAMessage(slip.id), '');
  for (const [reader, other] of [[ann, bob], [bob, ann]]) {
    assert.deepEqual(texts(await reader.pm.getAThread({user: other.id})), ['Stays']);
    assert.equal((await snippetWith(reader, other)).headline, 'Stays');
  }
  await refused(bob.pm.getASingleMessage(slip.id), 404, NOT_FOUND);
  await refused(ann.pm.deleteAMessage(slip.id), 404, NOT_FOUND);
});

test('with its only message taken back, a conversation leaves both lists', async () => {
  const [ann, bob] = await friends();
  const slip = await send(ann, bob, 'Slip');
  assert.equal(await ann.pm.deleteAMessage(slip.id), '');
  assert.deepEqual((await ann.pm.getAllSnippets()).results, []);
  assert.deepEqual((await bob.pm.getAllSnippets()).results, []);
});

test('only its sender can take a message back', async () => {
  const [ann, bob] = await friends();
  const eve = await person('eve');
  const sent = await send(ann, bob, 'Mine');
  await refused(bob.pm.deleteAMessage(sent.id), 403, FORBIDDEN);
  await refused(eve.pm.deleteAMessage(sent.id), 404, NOT_FOUND);
  assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), ['Mine']);
});

for (const [by, params] of [
  ['ann\'s id', (ann) => ({user: ann.id})],
  ['the thread\'s id', (_, thread) => ({thread})],
]) {
  test(`bob deletes the thread by ${by}: ann keeps it, and for bob it returns with the new message only`, async () => {
    const [ann, bob] = await friends();
    const {thread_id: thread} = await send(ann, bob, 'One');
    await send(bob, ann, 'Two');
    assert.equal(await bob.pm.deleteAThread(params(ann, thread)), '');
    assert.equal(await snippetWith(bob, ann), undefined);
    isPage(await bob.pm.getAThread({user: ann.id}), {rows: 0, count: 0, next: false});
    assert.equal((await snippetWith(ann, bob)).headline, 'Two');
    assert.deepEqual(texts(await ann.pm.getAThread({user: bob.id})), ['One', 'Two']);

    const fresh = await send(ann, bob, 'Three');
    assert.equal(fresh.thread_id, thread);
    const back = await snippetWith(bob, ann);
    assert.equal(back.id, thread);
    assert.equal(back.thread_status, 'new');
    assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), ['Three']);
    assert.deepEqual(texts(await ann.pm.getAThread({user: bob.id})), ['One', 'Two', 'Three']);
  });
}

test('deleting a thread that is not there: nothing with a user, not found with a thread, refused with neither', async () => {
  const [ann, bob] = await friends();
  const eve = await person('eve');
  assert.equal(await ann.pm.deleteAThread({user: bob.id}), '');
  const {thread_id: thread} = await send(ann, bob, 'Between us');
  await refused(eve.pm.deleteAThread({thread}), 404, NOT_FOUND);
  await refused(eve.pm.deleteAThread({thread: NOBODY}), 404, NOT_FOUND);
  await refused(eve.pm.deleteAThread({}), 400);
  assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), ['Between us']);
});

// ------------------------------------------------------------------------------------------------------------------ searching

test('ann finds those who follow her, a moderator finds everybody, and nobody finds themselves', async () => {
  const ann = await person('quillann');
  const mia = await person('quillmia', '--role', 'moderator');
  const fan = await person('quillfan', '--real-name', 'Felicity Nightingale');
  const idol = await person('quillidol');
  await follows(fan, ann);
  await follows(ann, idol);
  const found = async (searcher, term) => ids((await searcher.pm.searchUser(term)).results).sort((a, b) => a - b);

  const page = await ann.pm.searchUser('quill');
  isPage(page, {rows: 1, count: 1, next: false});
  isUser(page.results[0], fan);
  assert.equal(page.results[0].real_name, 'Felicity Nightingale');
  assert.deepEqual(await found(ann, 'UILLF'), [fan.id], 'any part, in any case');
  assert.deepEqual(await found(ann, 'nightin'), [fan.id], 'the real name too');
  assert.deepEqual(await found(ann, 'felicity night'), [fan.id], 'with a space');
  assert.deepEqual(await found(ann, 'quillidol'), []);
  assert.deepEqual(await found(mia, 'quill'), [ann.id, fan.id, idol.id]);
  assert.deepEqual(await found(ann, 'quillann'), []);
});

// --------------------------------------------------------------------------------------------------------------------- tokens

test('nobody gets anything without a good token', async () => {
  const [ann, bob] = await friends();
  const {id} = await send(ann, bob, 'Between us');
  const foreign = await generateJWTToken(ann.id, 'another community, another secret');
  for (const token of [null, 'garbage', 'a.b.c', `${ann.token}x`, ann.token.replace(/\.[^.]*$/, '.'), foreign]) {
    const stranger = withToken(token);
    const {response} = await refused(stranger.pm.getAllSnippets(), 401);
    assert.match(response.headers['www-authenticate'], /^Bearer/);
    await refused(stranger.pm.getAThread({user: bob.id}), 401);
    await refused(stranger.pm.getASingleMessage(id), 401);
    await refused(stranger.pm.sendAMessage({recipients: [bob.id], message: 'Hello'}), 401);
    await refused(stranger.pm.deleteAMessage(id), 401);
    await refused(stranger.pm.deleteAThread({user: bob.id}), 401);
    await refused(stranger.pm.searchUser('bob'), 401);
    await refused(stranger.users.getCurrentUser(), 401);
  }
  assert.deepEqual(texts(await bob.pm.getAThread({user: ann.id})), ['Between us']);
});

test('a token that the SDK signs with the server\'s secret is good until it expires', async () => {
  const ann = await person('ann');
  const secret = (await readFile(join(dataDir, 'jwt.secret'), 'utf8')).trim();
  assert.equal((await withToken(await generateJWTToken(ann.id, secret)).users.getCurrentUser()).id, ann.id);
  const stale = await generateJWTToken(ann.id, secret, Math.floor(Date.now() / 1000) - 60);
  await refused(withToken(stale).users.getCurrentUser(), 401);
  await refused(withToken(stale).pm.getAllSnippets(), 401);
});

test('the token of the command line reads like one of the SDK\'s', async () => {
  const ann = await person('ann');
  const claims = parseJwt(ann.token);
  assert.equal(claims.user_id, ann.id);
  assert.equal(claims.token_type, 'access');
  assert.ok(claims.exp > Date.now() / 1000);
});

// ------------------------------------------------------------------------------------------------------------------ the users

test('ann asks who she is', async () => {
  const ann = await person('ann', '--real-name', 'Ann B.');
  const me = await ann.users.getCurrentUser();
  isUser(me, ann);
  assert.equal(me.real_name, 'Ann B.');
  assert.equal(me.status, 'a');
  assert.equal(me.role, null);
  assert.equal(me.unseen_interactions_counter, 0);
  assert.equal(me.unseen_notification_banners_counter, 0);
  const mia = await person('mia', '--role', 'moderator');
  assert.equal((await mia.users.getCurrentUser()).role, 'moderator');
});

test('ann looks up others and learns to whom she may write', async () => {
  const ann = await person('ann');
  const fan = await person('fan', '--real-name', 'Fay N.');
  const idol = await person('idol');
  await follows(fan, ann);
  await follows(ann, idol);
  const seen = await ann.users.getSpecificUser(fan.id);
  isUser(seen, fan);
  assert.equal(seen.real_name, 'Fay N.');
  assert.equal(seen.can_send_pm_to, true);
  assert.equal((await ann.users.getSpecificUser(idol.id)).can_send_pm_to, false);
  assert.equal((await ann.users.getSpecificUser(ann.id)).can_send_pm_to, false);
  await refused(ann.users.getSpecificUser(NOBODY), 404, NOT_FOUND);
});

test('ann reads and changes her settings, and nobody else does', async () => {
  const [ann, bob] = await friends();
  const settings = await ann.users.userSettings(ann.id);
  const names = ['email_notification_not_qa', 'mobile_notifications_scmty', 'qa_frequency', 'show_toast_notifications', 'toast_notifications_emit_sound'];
  for (const name of names) isWholeNumber(settings[name], name);
  const flipped = 1 - settings.show_toast_notifications;
  const changed = {...settings, show_toast_notifications: flipped};
  assert.deepEqual(await ann.users.userSettingsPatch(ann.id, {show_toast_notifications: flipped}), changed);
  assert.deepEqual(await ann.users.userSettings(ann.id), changed, 'the others stay');
  const wrong = await refused(ann.users.userSettingsPatch(ann.id, {show_toast_notifications: 7}), 400);
  assert.deepEqual(Object.keys(formatHttpErrorCode(wrong)), ['showToastNotificationsError']);
  await refused(bob.users.userSettings(ann.id), 403, FORBIDDEN);
  await refused(bob.users.userSettingsPatch(ann.id, {qa_frequency: 0}), 403, FORBIDDEN);
  assert.deepEqual(await ann.users.userSettings(ann.id), changed);
});

test('ann follows bob and stops again, and both can tell', async () => {
  const ann = await person('ann');
  const bob = await person('bob');
  const standing = async () => [
    await ann.users.checkUserFollowed(bob.id),
    await bob.users.checkUserFollower(ann.id),
    await ann.users.checkUserFollower(bob.id),
    (await bob.users.getSpecificUser(ann.id)).can_send_pm_to,
  ];
  const strangers = [{is_followed: false}, {is_follower: false}, {is_follower: false}, false];
  assert.deepEqual(await standing(), strangers);
  assert.equal(await ann.users.followUser(bob.id), '');
  assert.deepEqual(await standing(), [{is_followed: true}, {is_follower: true}, {is_follower: false}, true]);
  assert.equal(await ann.users.followUser(bob.id), '');
  assert.deepEqual(await standing(), strangers);
});

test('bob\'s followers and followings are listed, page by page', async () => {
  const [ann, bob] = await friends();
  const cay = await person('cay');
  const dan = await person('dan');
  await follows(cay, bob);
  await follows(dan, bob);
  const followers = await ann.users.getUserFollowers(bob.id);
  isPage(followers, {rows: 3, count: 3, next: false});
  assert.deepEqual(ids(followers.results).sort((a, b) => a - b), [ann.id, cay.id, dan.id]);
  isUser(followers.results.find((user) => user.id === cay.id), cay);

  const first = await ann.users.getUserFollowers(bob.id, {limit: 2});
  isPage(first, {rows: 2, count: 3, next: true});
  const second = await ann.get(first.next);
  assert.deepEqual(ids([...first.results, ...second.results]), ids(followers.results));

  const followings = await cay.users.getUserFollowings(cay.id);
  isPage(followings, {rows: 1, count: 1, next: false});
  isUser(followings.results[0], bob);
});

test('while ann hides bob neither can write to the other, and what was written stays', async () => {
  const [ann, bob] = await friends();
  await send(ann, bob, 'Before');
  assert.deepEqual(await ann.users.getHiddenUsersId(), []);
  assert.deepEqual(await ann.users.checkUserHidden(bob.id), {is_hidden: false});

  assert.equal(await ann.users.showHideUser(bob.id), '');
  assert.deepEqual(await ann.users.getHiddenUsersId(), [bob.id]);
  assert.deepEqual(await bob.users.getHiddenUsersId(), []);
  assert.deepEqual(await ann.users.checkUserHidden(bob.id), {is_hidden: true});
  assert.deepEqual(await bob.users.checkUserHidden(ann.id), {is_hidden: false});
  for (const [one, other] of [[ann, bob], [bob, ann]]) {
    assert.equal((await one.users.getSpecificUser(other.id)).can_send_pm_to, false);
    await refused(one.pm.sendAMessage({recipients: [other.id], message: 'Hello'}), 403, FORBIDDEN);
    assert.deepEqual((await one.pm.searchUser(other.username)).results, []);
    assert.deepEqual(texts(await one.pm.getAThread({user: other.id})), ['Before']);
  }

  assert.equal(await ann.users.showHideUser(bob.id), '');
  assert.deepEqual(await ann.users.getHiddenUsersId(), []);
  isMessage(await send(bob, ann, 'After'), {from: bob, to: ann, message: 'After'});
});
