// What a member sees on the page and does there, in the page's own words and class names.

import assert from 'node:assert/strict';
import {eventually} from './community.mjs';

const entries = ({page}) => page.locator('.SCPrivateMessageSnippetItem-root');
const messages = ({page}) => page.locator('.SCPrivateMessageThreadItem-root');
const editor = ({page}) => page.locator('.SCPrivateMessageEditor-root');

/** A button is an icon, whose name is its text. */
const button = (within, icon) => within.locator('button', {hasText: new RegExp(`^${icon}$`)});

/** The entry of the conversation with somebody. */
export const entry = (tab, other) =>
  entries(tab).filter({has: tab.page.locator('.SCPrivateMessageSnippetItem-username').getByText(other.username, {exact: true})});

/** The message that consists of this text. */
export const message = (tab, text) =>
  messages(tab).filter({has: tab.page.locator('.SCPrivateMessageThreadItem-text').getByText(text, {exact: true})});

/** The conversations on screen: with whom, the last words, the date, whether there is the dot of something unread. */
export const list = (tab) =>
  entries(tab).evaluateAll((items) =>
    items.map((item) => ({
      name: item.querySelector('.SCPrivateMessageSnippetItem-username').textContent,
      headline: item.querySelector('.MuiListItemText-secondary').textContent,
      date: item.querySelector('.SCPrivateMessageSnippetItem-time').textContent,
      dot: [...item.querySelectorAll('.MuiIcon-root')].some((icon) => icon.textContent === 'fiber_manual_record'),
    }))
  );

/** The messages on screen, from top to bottom: whose, and the text; of a file what is written on it. */
export const thread = (tab) =>
  messages(tab).evaluateAll((items) =>
    items.map((item) => {
      const text = item.querySelector('.SCPrivateMessageThreadItem-text');
      const mine = item.classList.contains('SCPrivateMessageThread-sender');
      return [mine ? 'mine' : 'theirs', text ? text.textContent : [...item.querySelectorAll('button p')].map((word) => word.textContent).join(' ')];
    })
  );

export const showsList = (tab, rows) =>
  eventually(async () => assert.deepEqual((await list(tab)).map(({name, headline, dot}) => [name, headline, dot]), rows));

export const showsThread = (tab, rows) => eventually(async () => assert.deepEqual(await thread(tab), rows));

export const shows = (tab, words) => tab.page.getByText(words, {exact: true}).waitFor();

/** Opens the conversation with somebody from the list. */
export const open = async (tab, other) => {
  await entry(tab, other).locator('.MuiListItemButton-root').click();
  await tab.page.locator('.SCPrivateMessageThread-root .infinite-scroll-component').waitFor();
};

export const type = async (tab, text) => editor(tab).getByPlaceholder('Write your message').fill(text);

export const pressSend = (tab) => button(editor(tab), 'send').click();

export const write = async (tab, text) => {
  await type(tab, text);
  await pressSend(tab);
};

/** Chooses an emoji by its name, which comes behind what is typed already. */
export const pickEmoji = async (tab, name) => {
  await button(editor(tab), 'sentiment_satisfied_alt').click();
  await tab.page.locator(`.EmojiPickerReact button[data-full-name*="${name}"]`).first().click();
  await button(editor(tab), 'sentiment_satisfied_alt').click();
};

/** Begins a new message, and chooses each recipient from what the search finds for the beginning of the name. */
export const beginMessageTo = async (tab, ...others) => {
  await tab.page.getByText('Create New Message').click();
  for (const {username} of others) await choose(tab, username);
};

export const suggestions = ({page}) => page.locator('.MuiAutocomplete-option').allTextContents();

export const search = async (tab, words) => {
  await tab.page.locator('.SCPrivateMessageThread-autocomplete input').fill(words);
};

const choose = async (tab, username) => {
  await search(tab, username.slice(0, -1));
  await tab.page.locator('.MuiAutocomplete-option').getByText(username, {exact: true}).click();
};

/** Attaches files, and waits until the page has uploaded them. */
export const attach = async (tab, ...files) => {
  await button(editor(tab), 'attach_file').click();
  const chooser = tab.page.waitForEvent('filechooser');
  await button(editor(tab), 'upload').click();
  await (await chooser).setFiles(files);
};

/** Attaches files and sends them once the page lets one. */
export const sendFiles = async (tab, ...files) => {
  await attach(tab, ...files);
  await pressSend(tab);
};

/** The pictures of the messages on screen, once all are loaded: their sides in pixels. */
export const pictures = async (tab, count) =>
  eventually(async () => {
    const images = messages(tab).locator('img');
    assert.equal(await images.count(), count, 'so many pictures');
    for (const image of await images.all()) await image.scrollIntoViewIfNeeded();
    const sides = await images.evaluateAll((items) => items.map((item) => [item.naturalWidth, item.naturalHeight]));
    for (const [width] of sides) assert.ok(width > 0, 'the picture is loaded');
    return sides;
  });

/** Presses the download button of a file on screen, and answers the file's name and bytes. */
export const downloadFrom = async (tab, name) => {
  const [download] = await Promise.all([
    tab.page.waitForEvent('download'),
    messages(tab).locator('button', {hasText: name}).click(),
  ]);
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  return {name: download.suggestedFilename(), bytes: Buffer.concat(chunks)};
};

const confirm = async ({page}, question) => {
  await page.getByText(question, {exact: true}).waitFor();
  await page.getByRole('button', {name: 'Yes', exact: true}).click();
  await page.getByText(question, {exact: true}).waitFor({state: 'detached'});
};

/** Deletes a message, which has its menu only while the pointer is over it. */
export const deleteMessage = async (tab, text) => {
  await message(tab, text).hover();
  await button(message(tab, text), 'more_vert').click();
  await tab.page.getByRole('menuitem', {name: 'Delete'}).click();
  await confirm(tab, 'Are you sure you want to delete this message?');
};

/** Whether a message, the pointer over it, has a menu. */
export const hasMenu = async (tab, text) => {
  await message(tab, text).hover();
  return (await button(message(tab, text), 'more_vert').count()) === 1;
};

export const deleteThread = async (tab, other) => {
  await button(entry(tab, other), 'more_vert').click();
  await tab.page.getByRole('menuitem', {name: 'Delete'}).click();
  await confirm(tab, 'Are you sure you want to delete this conversation?');
};

/** Turns the wheel upwards over the messages. */
export const scrollUp = async ({page}) => {
  await page.locator('.SCPrivateMessageThread-root .infinite-scroll-component').hover();
  await page.mouse.wheel(0, -2_000);
};
