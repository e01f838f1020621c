// The pages of a demo in a real browser, the first one and the API's documentation: they show what they should, work offline, and load
// nothing from elsewhere.
//
// PARLOUR_URL is a running server. With PICTURE, a screenshot is left there.
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const url = process.env.PARLOUR_URL;
assert.ok(url, 'PARLOUR_URL names a running server');

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
try {
  const context = await browser.newContext({ viewport: { width: 1200, height: 1500 } });
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  const page = await context.newPage();
  const foreign = [];
  const complaints = [];
  page.on('request', (request) => {
    const address = request.url();
    if (!address.startsWith(`${url}/`) && !address.startsWith('data:')) foreign.push(address);
  });
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));

  await page.goto(`${url}/`);
  assert.equal(await page.title(), 'Parlour');
  const members = page.locator('tr');
  assert.equal(await members.count(), 12, 'every member of the demo');
  const deniz = members.filter({ hasText: 'Deniz Aydın' });
  await deniz.getByRole('button', { name: 'Copy' }).click();
  await deniz.getByRole('button', { name: 'Copied' }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, await deniz.locator('code').textContent());
  assert.match(copied, /^curl 'http:\/\/[^']+\/api\/v2\/pm\/\?thread=5' -H 'Authorization: Bearer [^']+'$/);

  await page.getByRole('link', { name: 'The API, to read and to try' }).click();
  await page.getByText('Get a thread, or list the conversations').waitFor({ timeout: 60_000 });
  assert.equal(await page.title(), 'Parlour API');

  const operation = page.locator('#operations-Private_messages-get_thread');
  await operation.locator('.opblock-summary').click();
  for (const name of ['thread', 'user', 'before_message', 'from_message', 'limit', 'offset']) {
    await operation.locator(`tr[data-param-name="${name}"]`).waitFor({ timeout: 30_000 });
  }
  assert.deepEqual(foreign, [], 'nothing is loaded from elsewhere');
  assert.deepEqual(complaints, [], 'the browser has nothing to complain about');

  if (process.env.PICTURE) {
    await operation.scrollIntoViewIfNeeded();
    await page.waitForFunction(() => document.fonts.status === 'loaded');
    await page.screenshot({ path: process.env.PICTURE });
  }
  console.log('the first page and the documentation show what they should and load nothing from elsewhere');
} finally {
  await browser.close();
}
