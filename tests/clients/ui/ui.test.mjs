// Acceptance test: the official React UI, `PrivateMessageComponent` of @selfcommunity/react-ui inside `SCContextProvider`, as published and
// unmodified, in a real browser against a running Parlour. The page is the one of examples/selfcommunity-react.
//
//     (cd ../../../examples/selfcommunity-react && npm ci) && npm ci
//     PARLOUR_BIN=path/to/parlour npm test
//
// Every test makes people of its own. What one of them does is looked at on their page and from the other side: on the other one's page
// where it happens at once, by the API as the other one otherwise. UI_ARTIFACTS names the folder that keeps what the pages showed when a
// test failed; target/ui if it does not.

import assert from 'node:assert/strict';
import {after, before, test} from 'node:test';
import {expected, reload, scenario, signIn, signInBoth, startBrowser, stopBrowser} from './browser.mjs';
import {
  MINUTE,
  address,
  ask,
  download,
  eventually,
  follow,
  friends,
  parlour,
  send,
  snippetOf,
  startServer,
  stopServer,
  strangers,
  threadOf,
  wrote,
} from './community.mjs';
import * as files from './files.mjs';
import {
  attach,
  beginMessageTo,
  deleteMessage,
  deleteThread,
  downloadFrom,
  entry,
  hasMenu,
  list,
  message,
  open,
  pickEmoji,
  pictures,
  pressSend,
  scrollUp,
  search,
  sendFiles,
  shows,
  showsList,
  showsThread,
  suggestions,
  thread,
  type,
  write,
} from './inbox.mjs';

before(async () => {
  await startServer();
  await startBrowser(address);
});
after(async () => {
  await stopBrowser();
  await stopServer();
});

const it = (name, story) => test(name, scenario(name, story));

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const calls = (tab, method, part) => tab.calls.filter((call) => call.method === method && call.url.includes(part));
const texts = (rows) => rows.map((row) => row.message);
const DATE = {day: '2-digit', month: '2-digit', year: '2-digit', timeZone: 'Europe/Berlin'};
const shortDate = (ago) => new Date(Date.now() - ago).toLocaleDateString('en-US', DATE);

// ------------------------------------------------------------------------------------------------------------------- the list

it('ann sees her conversations, latest first, with the last words, the date and a dot where something is unread', async () => {
  const [ann, bob, cay, dan] = await friends('ann', 'bob', 'cay', 'dan');
  await wrote([
    [ann, dan, 'Is the shed locked?', 3 * DAY],
    [dan, ann, 'It is.', 2 * DAY],
    [ann, bob, 'Shall we mow?', DAY],
    [cay, ann, 'The roses are out.', HOUR, {unread: true}],
  ]);
  const tab = await signIn(ann);
  await showsList(tab, [
    [cay.username, 'The roses are out.', true],
    [bob.username, 'Shall we mow?', false],
    [dan.username, 'It is.', false],
  ]);
  assert.deepEqual((await list(tab)).map(({date}) => date), [shortDate(HOUR), shortDate(DAY), shortDate(2 * DAY)]);
  await shows(tab, 'Select or compose a message');
  assert.equal((await snippetOf(ann, cay)).thread_status, 'new', 'to look at the list is not to read');
});

it('the list goes on with its second page', async () => {
  const [mia, ...others] = await friends('mia', ...Array.from({length: 23}, (_, index) => `guest${index}-`));
  await wrote(others.map((other, index) => [other, mia, `I am number ${index}.`, DAY - index * MINUTE]));
  const tab = await signIn(mia);
  await showsList(tab, others.map((other, index) => [other.username, `I am number ${index}.`, false]).reverse());
  assert.equal(calls(tab, 'GET', '/api/v2/pm/').length, 2, 'two pages');
  await open(tab, others[0]);
  await showsThread(tab, [['theirs', 'I am number 0.']]);
});

it('ann looks through her conversations for a name', async () => {
  const [ann, bob, cay] = await friends('ann', 'bob', 'cay');
  await wrote([[bob, ann, 'Hello', DAY], [cay, ann, 'Hello too', HOUR]]);
  const tab = await signIn(ann);
  await tab.page.getByPlaceholder('Search among users').fill('BOB');
  await showsList(tab, [[bob.username, 'Hello', false]]);
});

// ----------------------------------------------------------------------------------------------------------------- a thread

it('ann opens a thread: it is there in order, each message on its side, and the dot goes for good', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([
    [bob, ann, 'Tea?', 2 * DAY],
    [ann, bob, 'Coffee,\nplease & thank you 🙂', DAY],
    [bob, ann, 'Coming.', HOUR, {unread: true}],
  ]);
  const tab = await signIn(ann);
  await showsList(tab, [[bob.username, 'Coming.', true]]);
  await open(tab, bob);
  const rows = [['theirs', 'Tea?'], ['mine', 'Coffee,\nplease & thank you 🙂'], ['theirs', 'Coming.']];
  await showsThread(tab, rows);
  await showsList(tab, [[bob.username, 'Coming.', false]]);
  assert.equal((await snippetOf(ann, bob)).thread_status, 'seen');
  await reload(tab);
  await showsList(tab, [[bob.username, 'Coming.', false]]);
  assert.deepEqual(texts(await threadOf(bob, ann)), texts(await threadOf(ann, bob)), 'bob has the same');
});

it('ann scrolls up to the beginning: older pages come, each message once, in order', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  const rows = Array.from({length: 34}, (_, index) => [...(index % 3 ? [ann, bob] : [bob, ann]), `Number ${index}`]);
  await wrote(rows.map(([from, to, text], index) => [from, to, text, DAY - index * MINUTE]));
  const shown = rows.map(([from, , text]) => [from === ann ? 'mine' : 'theirs', text]);
  const tab = await signIn(ann);
  await open(tab, bob);
  await showsThread(tab, shown.slice(-10));
  // One that comes meanwhile shifts no page.
  await send(bob, ann, 'By the way');
  await showsThread(tab, [...shown.slice(-10), ['theirs', 'By the way']]);
  await eventually(async () => {
    await scrollUp(tab);
    assert.equal((await thread(tab)).length, shown.length + 1);
  });
  await showsThread(tab, [...shown, ['theirs', 'By the way']]);
  const pages = calls(tab, 'GET', 'before_message=');
  assert.equal(pages.length, 3, 'three older pages');
  for (const {url} of pages) assert.ok(!url.includes('offset'), url);
});

it('markup that ann writes is text on bob\'s page: in the list, in the thread, at once and after a reload', async () => {
  const [ann, bob, cay] = await friends('ann', 'bob', 'cay');
  await wrote([[ann, bob, 'Look:', HOUR], [ann, cay, 'Hello', DAY]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  const attack = '<img src=x onerror="window.broken=1"><b>bold</b> <script>window.broken=1</script> &lt;i&gt; "\' </span>';
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Look:']]);
  await open(annTab, bob);
  await write(annTab, attack);
  const name = '<img src=x onerror=window.broken=1>.txt';
  await sendFiles(annTab, files.text(name, 80));
  const isInert = async (tab, other, side) => {
    await showsThread(tab, [[side, 'Look:'], [side, attack], [side, `${name} 80 Bytes`]]);
    const within = tab.page.locator('.SCPrivateMessageThread-root, .SCPrivateMessageSnippets-root').locator('img, b, i, script');
    assert.equal(await within.count(), 0, 'no element came out of the text');
    assert.equal(await tab.page.evaluate(() => window.broken), undefined);
  };
  for (const [tab, other, side] of [[annTab, bob, 'mine'], [bobTab, ann, 'theirs']]) {
    await isInert(tab, other, side);
    await reload(tab);
    await eventually(async () => assert.equal((await list(tab)).find((row) => row.name === other.username).headline, name));
    await open(tab, other);
    await isInert(tab, other, side);
  }
  await deleteMessage(annTab, attack);
  await send(ann, bob, attack);
  await eventually(async () => assert.equal((await list(bobTab))[0].headline, attack));
});

// -------------------------------------------------------------------------------------------------------------------- sending

it('ann sends, and it stands once in both threads and lists', async () => {
  const [ann, bob, cay] = await friends('ann', 'bob', 'cay');
  await wrote([[ann, bob, 'Hello', 2 * DAY], [ann, cay, 'Hello', DAY]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Hello']]);
  await open(annTab, bob);
  await showsThread(annTab, [['mine', 'Hello']]);
  const text = 'Zwei Zeilen,\nschön 🙂 日本語 ışık';
  await write(annTab, text);
  await showsThread(annTab, [['mine', 'Hello'], ['mine', text]]);
  await showsList(annTab, [[bob.username, text, false], [cay.username, 'Hello', false]]);
  await showsThread(bobTab, [['theirs', 'Hello'], ['theirs', text]]);
  await write(bobTab, 'Yes!');
  await showsThread(bobTab, [['theirs', 'Hello'], ['theirs', text], ['mine', 'Yes!']]);
  await showsThread(annTab, [['mine', 'Hello'], ['mine', text], ['theirs', 'Yes!']]);
  for (const tab of [annTab, bobTab]) {
    const before = await thread(tab);
    await reload(tab);
    await open(tab, tab === annTab ? bob : ann);
    await showsThread(tab, before);
  }
});

it('ann picks an emoji, and it goes as a letter like any other', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[bob, ann, 'Do the beans need water?', HOUR]]);
  const tab = await signIn(ann);
  const empty = {contentType: 'image/svg+xml', body: '<svg xmlns="http://www.w3.org/2000/svg"/>'};
  await tab.page.route('https://cdn.jsdelivr.net/**', (route) => route.fulfill(empty));
  await open(tab, bob);
  await type(tab, 'A little ');
  await pickEmoji(tab, 'blush');
  await pressSend(tab);
  await showsThread(tab, [['theirs', 'Do the beans need water?'], ['mine', 'A little 😊']]);
  assert.equal((await threadOf(bob, ann)).at(-1).message, 'A little 😊');
});

it('ann writes a new message to one whom the search finds', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  const [dan] = await strangers('bob-stranger');
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await showsList(annTab, []);
  await beginMessageTo(annTab);
  await search(annTab, 'bob');
  await eventually(async () => assert.deepEqual(await suggestions(annTab), [bob.username], 'those who follow her, and not the stranger'));
  await annTab.page.locator('.MuiAutocomplete-option').getByText(bob.username, {exact: true}).click();
  await write(annTab, 'Hello Bob');
  await showsThread(annTab, [['mine', 'Hello Bob']]);
  await showsList(annTab, [[bob.username, 'Hello Bob', false]]);
  await showsList(bobTab, [[ann.username, 'Hello Bob', true]]);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Hello Bob']]);
  assert.deepEqual((await ask(dan, 'pm/')).results, []);
});

it('ann writes a new message to several, and each has a thread of their own with her', async () => {
  const [ann, bob, cay] = await friends('ann', 'bob', 'cay');
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await beginMessageTo(annTab, bob, cay);
  await write(annTab, 'Hello both');
  await showsList(annTab, [[cay.username, 'Hello both', false], [bob.username, 'Hello both', false]]);
  await showsList(bobTab, [[ann.username, 'Hello both', true]]);
  await shows(annTab, 'Select or compose a message');
  await open(annTab, cay);
  await showsThread(annTab, [['mine', 'Hello both']]);
  for (const other of [bob, cay]) assert.deepEqual(texts(await threadOf(other, ann)), ['Hello both']);
  assert.notEqual((await snippetOf(ann, bob)).id, (await snippetOf(ann, cay)).id);
  await write(annTab, 'Only you');
  await showsThread(annTab, [['mine', 'Hello both'], ['mine', 'Only you']]);
  assert.deepEqual(texts(await threadOf(bob, ann)), ['Hello both']);
});

it('a message to nobody whom the search has found is refused in words', async () => {
  const [ann] = await friends('ann');
  const tab = await signIn(ann);
  await beginMessageTo(tab);
  await search(tab, 'nobody');
  await tab.page.keyboard.press('Enter');
  await write(tab, 'Hello?');
  await shows(tab, 'The message could not be sent');
  await expected(tab, /^400 POST .*\/pm\/$/, /^Failed to load resource: .* 400/, /^AxiosError: .* 400/);
});

// ---------------------------------------------------------------------------------------------------------------- attachments

it('ann attaches an image, which both see small and in full', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Look:', HOUR]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Look:']]);
  await open(annTab, bob);
  await sendFiles(annTab, files.picture);
  for (const tab of [annTab, bobTab]) {
    const [[width, height]] = await pictures(tab, 1);
    assert.ok(Math.abs(width / height - 4 / 3) < 0.01, `${width} by ${height}`);
    await tab.page.locator('.SCPrivateMessageThreadItem-img img').click();
    const full = tab.page.locator('.PhotoView-Portal img');
    await eventually(async () => assert.deepEqual(await full.evaluate((image) => [image.naturalWidth, image.naturalHeight]), [1_920, 1_440]));
  }
  const {file} = (await threadOf(bob, ann)).at(-1);
  assert.deepEqual([file.filename, file.mimetype], ['beds.png', 'image/jpeg'], 'the page has made a JPEG of it, under its old name');
  const {type: mimetype, bytes} = await download(file.url);
  assert.deepEqual([mimetype, bytes.length], ['image/jpeg', file.filesize]);
});

it('ann attaches a PDF, which both see as its first page, and bob downloads it', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'The plan:', HOUR]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'The plan:']]);
  await open(annTab, bob);
  const plan = files.document('watering plan.pdf', 'Watering plan');
  await sendFiles(annTab, plan);
  for (const [tab, side] of [[annTab, 'mine'], [bobTab, 'theirs']]) {
    await showsThread(tab, [[side, 'The plan:'], [side, `watering plan.pdf ${plan.buffer.length} Bytes`]]);
    const [[width, height]] = await pictures(tab, 1);
    assert.ok(Math.abs(width / height - 595 / 842) < 0.01, `${width} by ${height}`);
  }
  const saved = await downloadFrom(bobTab, plan.name);
  assert.equal(saved.name, plan.name);
  assert.ok(saved.bytes.equals(plan.buffer), 'byte for byte');
  const {file} = (await threadOf(bob, ann)).at(-1);
  assert.deepEqual([file.filename, file.mimetype, file.filesize], [plan.name, 'application/pdf', plan.buffer.length]);
});

it('ann attaches a file of 3 MB, which goes up in sixteen parts, and bob downloads it', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'All of it:', HOUR]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'All of it:']]);
  await open(annTab, bob);
  const harvest = files.text('harvest.txt', 3 * 1_024 * 1_024);
  await sendFiles(annTab, harvest);
  for (const [tab, side] of [[annTab, 'mine'], [bobTab, 'theirs']]) await showsThread(tab, [[side, 'All of it:'], [side, 'harvest.txt 3.0 MB']]);
  const parts = calls(annTab, 'POST', '/pm/upload/').filter(({headers}) => headers['content-range']);
  assert.equal(parts.length, 16);
  assert.equal(parts.at(-1).headers['content-range'], `bytes ${15 * 204_800}-${harvest.buffer.length - 1}/${harvest.buffer.length}`);
  // The link that came with the live message is good, and so must the one be that comes with the thread.
  await reload(bobTab);
  await open(bobTab, ann);
  const saved = await downloadFrom(bobTab, harvest.name);
  assert.ok(saved.bytes.equals(harvest.buffer), 'byte for byte');
  const {file} = (await threadOf(bob, ann)).at(-1);
  assert.deepEqual([file.filename, file.mimetype, file.filesize], [harvest.name, 'text/plain', harvest.buffer.length]);
});

it('ann attaches a video, which bob sees as a picture of it and plays', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Listen:', HOUR]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Listen:']]);
  await open(annTab, bob);
  await sendFiles(annTab, await files.video(annTab));
  for (const tab of [annTab, bobTab]) {
    const [[width, height]] = await pictures(tab, 1);
    assert.ok(Math.abs(width / height - 16 / 9) < 0.01, `${width} by ${height}`);
  }
  await bobTab.page.locator('.SCPrivateMessageThreadItem-video button').click();
  const size = await bobTab.page.locator('video').evaluate(async (video) => {
    await video.play();
    return [video.videoWidth, video.videoHeight];
  });
  assert.deepEqual(size, [320, 180]);
  assert.equal((await threadOf(bob, ann)).at(-1).file.mimetype, 'video/webm');
});

it('ann attaches two files at once, which become two messages', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Both:', HOUR]]);
  const tab = await signIn(ann);
  await open(tab, bob);
  const [one, two] = [files.document('one.pdf', 'One'), files.document('two.pdf', 'Two')];
  await sendFiles(tab, one, two);
  await eventually(async () => assert.equal((await thread(tab)).length, 3));
  await pictures(tab, 2);
  assert.deepEqual((await threadOf(bob, ann)).slice(1).map(({file}) => file.filename).sort(), ['one.pdf', 'two.pdf']);
});

it('a file of a kind that the community does not take is refused in words', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Hello', HOUR]]);
  const tab = await signIn(ann);
  await open(tab, bob);
  await attach(tab, files.program);
  await tab.page.locator('.SCPrivateMessageEditor-root .MuiAlert-message').getByText('Error').waitFor();
  await expected(tab, /^400 POST .*\/pm\/upload\/$/, /^Failed to load resource: .* 400/);
});

// ------------------------------------------------------------------------------------------------------------------- deleting

it('ann deletes a message of less than a minute, and it is gone for both', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[bob, ann, 'Tea?', HOUR]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(annTab, bob);
  await write(annTab, 'Cofee');
  await showsThread(annTab, [['theirs', 'Tea?'], ['mine', 'Cofee']]);
  await showsList(bobTab, [[ann.username, 'Cofee', true]]);
  assert.ok(!(await hasMenu(annTab, 'Tea?')), 'she can delete what is hers alone');
  await deleteMessage(annTab, 'Cofee');
  await showsThread(annTab, [['theirs', 'Tea?']]);
  await showsList(annTab, [[bob.username, 'Tea?', false]]);
  await reload(bobTab);
  await showsList(bobTab, [[ann.username, 'Tea?', false]]);
  await open(bobTab, ann);
  await showsThread(bobTab, [['mine', 'Tea?']]);
});

it('ann deletes an older message, and both see that there was one', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Cofee', 2 * MINUTE], [bob, ann, 'Coffee?', MINUTE]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  await open(annTab, bob);
  await deleteMessage(annTab, 'Cofee');
  await showsThread(annTab, [['mine', 'Message deleted'], ['theirs', 'Coffee?']]);
  assert.ok(!(await hasMenu(annTab, 'Message deleted')), 'nothing is left to delete');
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Message delete'], ['mine', 'Coffee?']]);
  await reload(annTab);
  await open(annTab, bob);
  await showsThread(annTab, [['mine', 'Message delete'], ['theirs', 'Coffee?']]);
  assert.equal((await threadOf(bob, ann))[0].status, 'hidden');
});

it('ann deletes a thread, for herself alone, and what bob writes then begins it anew', async () => {
  const [ann, bob, cay] = await friends('ann', 'bob', 'cay');
  await wrote([[ann, bob, 'Hello', DAY], [bob, ann, 'Hello yourself', HOUR], [cay, ann, 'Me too', 2 * DAY]]);
  const tab = await signIn(ann);
  await open(tab, bob);
  await deleteThread(tab, bob);
  await showsList(tab, [[cay.username, 'Me too', false]]);
  await shows(tab, 'Select or compose a message');
  await reload(tab);
  await showsList(tab, [[cay.username, 'Me too', false]]);
  assert.deepEqual(texts(await threadOf(bob, ann)), ['Hello', 'Hello yourself']);
  await send(bob, ann, 'Still there?');
  await showsList(tab, [[bob.username, 'Still there?', true], [cay.username, 'Me too', false]]);
  await open(tab, bob);
  await showsThread(tab, [['theirs', 'Still there?']]);
});

it('a conversation that has become empty offers a new message to the one it was with', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Hello', 2 * MINUTE]]);
  await ask(bob, `pm/?user=${ann.id}`, {method: 'DELETE'});
  const only = await send(ann, bob, 'Oops');
  const tab = await signIn(bob);
  await showsList(tab, [[ann.username, 'Oops', true]]);
  await ask(ann, `pm/${only.id}/`, {method: 'DELETE'});
  await entry(tab, ann).locator('.MuiListItemButton-root').click();
  await eventually(async () => assert.equal(await tab.page.locator('.SCPrivateMessageThread-autocomplete input').inputValue(), ann.username));
  await write(tab, 'What was it?');
  await showsThread(tab, [['mine', 'What was it?']]);
  assert.deepEqual(texts(await threadOf(ann, bob)), ['Hello', 'What was it?']);
});

// ----------------------------------------------------------------------------------------------------------------------- live

it('a live message comes by the socket: with its dot on top of the list, at once in the open thread', async () => {
  const [ann, bob, cay] = await friends('ann', 'bob', 'cay');
  await wrote([[ann, bob, 'Hello', 2 * DAY], [cay, bob, 'Hello', DAY]]);
  const [annTab, bobTab] = await signInBoth(ann, bob);
  assert.deepEqual(bobTab.sockets, ['ws://parlour.test/ws/notify?subscribe-user'], 'the port is not in it');
  await open(bobTab, cay);
  await showsList(bobTab, [[cay.username, 'Hello', false], [ann.username, 'Hello', false]]);
  await open(annTab, bob);
  await write(annTab, 'Are you there?');
  await showsList(bobTab, [[ann.username, 'Are you there?', true], [cay.username, 'Hello', false]]);
  await showsThread(bobTab, [['theirs', 'Hello']]);
  await reload(bobTab);
  await showsList(bobTab, [[ann.username, 'Are you there?', true], [cay.username, 'Hello', false]]);
  await open(bobTab, ann);
  await showsThread(bobTab, [['theirs', 'Hello'], ['theirs', 'Are you there?']]);
  await showsList(bobTab, [[ann.username, 'Are you there?', false], [cay.username, 'Hello', false]]);
  await write(annTab, 'And now?');
  await showsThread(bobTab, [['theirs', 'Hello'], ['theirs', 'Are you there?'], ['theirs', 'And now?']]);
  assert.ok((await message(bobTab, 'And now?').boundingBox()).y < 800, 'it is in sight');
});

it('a live message of one who never wrote before begins a conversation', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  const tab = await signIn(bob);
  await showsList(tab, []);
  await send(ann, bob, 'Hello Bob');
  await showsList(tab, [[ann.username, 'Hello Bob', true]]);
  await open(tab, ann);
  await showsThread(tab, [['theirs', 'Hello Bob']]);
  await showsList(tab, [[ann.username, 'Hello Bob', false]]);
});

// ------------------------------------------------------------------------------------------------------ those who may not write

const BLOCKED = "We're sorry, you can't report a post because your account is currently blocked";
const MAY_NOT = 'You cannot send messages to this user.';

it('ann is blocked while she writes: she is warned, and nothing is sent', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Hello', HOUR]]);
  const tab = await signIn(ann);
  await open(tab, bob);
  await type(tab, 'One more thing');
  await parlour(['user', 'block', String(ann.id)]);
  await eventually(() => assert.ok(calls(tab, 'GET', `/user/${ann.id}/settings/`).length > 1, 'the page has been told'));
  await pressSend(tab);
  await shows(tab, BLOCKED);
  assert.deepEqual(texts(await threadOf(bob, ann)), ['Hello']);
});

it('ann, whose account is blocked, reads, and is warned when she writes', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[bob, ann, 'Hello', HOUR]]);
  await parlour(['user', 'block', String(ann.id)]);
  const tab = await signIn(ann);
  await showsList(tab, [[bob.username, 'Hello', false]]);
  await beginMessageTo(tab);
  await write(tab, 'Hello?');
  await shows(tab, BLOCKED);
  await open(tab, bob);
  await showsThread(tab, [['theirs', 'Hello']]);
  await shows(tab, MAY_NOT);
  assert.equal(calls(tab, 'POST', '/pm/').length, 0);
});

it('the thread with a deleted account can be read, and not be written in', async () => {
  const [ann, bob] = await friends('ann', 'bob');
  await wrote([[ann, bob, 'Hello', DAY], [bob, ann, 'Farewell', HOUR]]);
  await parlour(['user', 'delete', String(bob.id)]);
  const tab = await signIn(ann);
  await eventually(async () => assert.deepEqual((await list(tab)).map(({headline}) => headline), ['Farewell']));
  await open(tab, bob);
  await showsThread(tab, [['mine', 'Hello'], ['theirs', 'Farewell']]);
  await shows(tab, 'You cannot send messages to deleted users!');
  assert.equal(await tab.page.getByPlaceholder('Write your message').count(), 0);
});

it('ann reads what she has with one who does not follow her, and cannot write until he does', async () => {
  const [ann, bob] = await strangers('ann', 'bob');
  await follow([[ann, bob]]);
  await wrote([[bob, ann, 'Hello', HOUR]]);
  const tab = await signIn(ann);
  await open(tab, bob);
  await showsThread(tab, [['theirs', 'Hello']]);
  await shows(tab, MAY_NOT);
  await follow([[bob, ann]]);
  await reload(tab);
  await open(tab, bob);
  await write(tab, 'Thank you');
  await showsThread(tab, [['theirs', 'Hello'], ['mine', 'Thank you']]);
});
