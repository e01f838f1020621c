// The page of examples/selfcommunity-react, built and served, in Debian's Chromium: one tab for each member who looks at it.
//
// Whatever a tab complains about is remembered as its trouble: an answer of the server that is not a success, a request that leaves for
// elsewhere, a word on the console, an exception.

import assert from 'node:assert/strict';
import {execFile} from 'node:child_process';
import {existsSync} from 'node:fs';
import {mkdir, mkdtemp, rm, writeFile} from 'node:fs/promises';
import {tmpdir} from 'node:os';
import {join, resolve} from 'node:path';
import {fileURLToPath} from 'node:url';
import {promisify} from 'node:util';
import {chromium} from 'playwright-core';
import {PORTAL, eventually, freePort, isUp, startProgram, stopProgram} from './community.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const example = join(root, 'examples/selfcommunity-react');
const artifacts = resolve(process.env.UI_ARTIFACTS ?? join(root, 'target/ui'));
const BUILD_DEADLINE_MS = 180_000;
const PATIENCE_MS = 30_000;

/** The UI's own oddities, which no server can help. */
const ODDITIES = [
  // It tells on the console what its configuration leaves out.
  /^%c\[@selfcommunity\/react-core\] .* fallback to the default configurations\./,
  /^%c\[@selfcommunity\/react-core\] .* not configured to support web push notifications/,
  // Its emoji picker takes the pictures from there.
  /^a request for elsewhere: https:\/\/cdn\.jsdelivr\.net\/npm\/emoji-datasource-apple\//,
  // It scrolls down to a live message by asking the open conversation for its id, also when none is open; its work is done by then.
  /^TypeError: Cannot read properties of null \(reading 'id'\)/,
];

let built;
let site;
let siteOutput = '';
let siteUrl;
let browser;
let tabs = [];

/** Builds the example, serves the build, and starts a browser that finds the server at `address` under the portal's name. */
export const startBrowser = async (address) => {
  const vite = join(example, 'node_modules/vite/bin/vite.js');
  assert.ok(existsSync(vite), `run "npm ci" in ${example} first`);
  built = await mkdtemp(join(tmpdir(), 'parlour-ui-page-'));
  const environment = {...process.env, VITE_PORTAL: PORTAL};
  const toBuild = ['run', 'build', '--', '--outDir', built, '--emptyOutDir'];
  await promisify(execFile)('npm', toBuild, {cwd: example, env: environment, timeout: BUILD_DEADLINE_MS});
  const port = await freePort();
  siteUrl = `http://127.0.0.1:${port}/`;
  const args = [vite, 'preview', '--outDir', built, '--host', '127.0.0.1', '--port', String(port), '--strictPort'];
  site = startProgram(process.execPath, args, {cwd: example}, (words) => (siteOutput += words));
  await isUp(site, siteUrl, () => siteOutput);

  const {host, hostname} = new URL(PORTAL);
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // The official socket leaves the port out of its address, so it comes to port 80.
      `--host-resolver-rules=MAP ${host} ${address}, MAP ${hostname}:80 ${address}`,
    ],
  });
};

export const stopBrowser = async () => {
  await browser?.close();
  await stopProgram(site);
  if (built) await rm(built, {recursive: true, force: true});
};

const watch = (tab) => {
  const {page, log, trouble} = tab;
  const note = (what, isTrouble) => {
    log.push(what);
    if (isTrouble && !ODDITIES.some((oddity) => oddity.test(what))) trouble.push(what);
  };
  page.on('console', (message) => note(`${message.text()} (${message.location().url})`, true));
  page.on('pageerror', (error) => note(String(error.stack), true));
  page.on('response', (response) => {
    const request = response.request();
    const call = {method: request.method(), url: response.url(), status: response.status(), headers: request.headers()};
    if (call.url.startsWith(PORTAL)) tab.calls.push(call);
    note(`${call.status} ${call.method} ${call.url}`, call.status >= 400);
  });
  page.on('request', (request) => {
    const url = request.url();
    const known = url.startsWith(siteUrl) || url.startsWith(`${PORTAL}/`) || /^(data|blob):/.test(url);
    if (!known) note(`a request for elsewhere: ${url}`, true);
  });
  page.on('requestfailed', (request) => note(`${request.failure()?.errorText} ${request.method()} ${request.url()}`, !tab.leaving));
  page.on('websocket', (socket) => {
    note(`socket ${socket.url()}`, false);
    tab.sockets.push(socket.url());
    // The first thing that the server says on a socket is a heartbeat.
    socket.once('framereceived', () => (tab.isLive = true));
  });
};

/** A tab in which somebody is signed in, once the page shows their conversations. */
export const signIn = async (member, viewport = {width: 1280, height: 800}) => {
  const context = await browser.newContext({viewport, locale: 'en-GB', timezoneId: 'Europe/Berlin'});
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const tab = {page, member, log: [], trouble: [], calls: [], sockets: [], isLive: false, leaving: false};
  tabs.push(tab);
  watch(tab);
  await page.goto(`${siteUrl}#${member.token}`);
  await isReady(tab);
  return tab;
};

/** Two tabs at once. */
export const signInBoth = (one, other) => Promise.all([signIn(one), signIn(other)]);

const isReady = async (tab) => {
  await tab.page.getByText('Create New Message').waitFor();
  await eventually(() => assert.ok(tab.isLive, 'the socket is open'));
};

/** The same page once more, from the beginning. */
export const reload = async (tab) => {
  Object.assign(tab, {isLive: false, leaving: true});
  await tab.page.reload();
  tab.leaving = false;
  await isReady(tab);
};

/** Troubles that were to be expected, and came. */
export const expected = async (tab, ...patterns) => {
  for (const pattern of patterns) {
    await eventually(() => {
      const index = tab.trouble.findIndex((trouble) => pattern.test(trouble));
      assert.notEqual(index, -1, `expected ${pattern} among ${JSON.stringify(tab.trouble)}`);
      tab.trouble.splice(index, 1);
    });
  }
};

const keep = async (name) => {
  const folder = join(artifacts, name.replace(/[^a-z0-9]+/gi, '-').slice(0, 80));
  await mkdir(folder, {recursive: true});
  for (const [index, {page, member, log}] of tabs.entries()) {
    const file = join(folder, `${index}-${member.username}`);
    await writeFile(`${file}.log`, `${log.join('\n')}\n`);
    await page.screenshot({path: `${file}.png`}).catch((error) => writeFile(`${file}.png.txt`, String(error)));
    await writeFile(`${file}.html`, await page.content().catch(String));
  }
  console.log(`What the pages showed: ${folder}`);
};

/** Does what a test says, then holds that no tab has any trouble. What the tabs showed is kept if that fails. */
export const scenario = (name, story) => async () => {
  try {
    await story();
    for (const {member, trouble} of tabs) assert.deepEqual(trouble, [], `the page of ${member.username} has nothing to complain about`);
  } catch (error) {
    await keep(name);
    throw error;
  } finally {
    for (const tab of tabs) tab.leaving = true;
    await Promise.all(tabs.map(({page}) => page.context().close()));
    tabs = [];
  }
};
