// A picture of the page for the documentation, with a community of gardeners.
//
//     PARLOUR_BIN=path/to/parlour PICTURE=page.png node picture.mjs

import assert from 'node:assert/strict';
import {signIn, startBrowser, stopBrowser} from './browser.mjs';
import {MINUTE, address, bringIn, eventually, follow, send, startServer, stopServer, tokenOf, wrote} from './community.mjs';
import {drawing} from './files.mjs';
import {entry, list, open, pictures, sendFiles, thread, write} from './inbox.mjs';

assert.ok(process.env.PICTURE, 'PICTURE names the file to write');

const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const AVATARS = 'https://avatars.example/';

const people = [
  'Ann Becker',
  'Deniz Aydın',
  'Lena Fischer',
  'Goran Petrović',
  'Inês Carvalho',
  'Jürgen Groß',
  'Fatima Haddad',
  'Hanna Lindqvist',
  'Kofi Mensah',
].map((username, index) => ({id: index + 1, username}));
const [ann, deniz, lena, goran, ines, juergen, fatima, hanna, kofi] = people;

/** Initials on a disc, each in a colour of their own. */
const avatar = ({id, username}) => {
  const initials = username.split(' ').map((word) => word[0]).join('');
  const words = `<text x="40" y="52" font-family="DejaVu Sans" font-size="30" fill="#fff" text-anchor="middle">${initials}</text>`;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80"><rect width="80" height="80" fill="hsl(${id * 67} 38% 48%)"/>${words}</svg>`;
};

/** An evening in the garden, painted by the browser. */
const evening = async ({page}) => {
  const painted = await page.evaluate(() => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 1_600, height: 800});
    const brush = canvas.getContext('2d');
    const fill = (style, draw) => {
      brush.fillStyle = style;
      brush.beginPath();
      draw();
      brush.fill();
    };
    const fade = (from, to, colours) => {
      const gradient = brush.createLinearGradient(0, from, 0, to);
      colours.forEach((colour, index) => gradient.addColorStop(index / (colours.length - 1), colour));
      return gradient;
    };
    fill(fade(0, 470, ['#40618f', '#a78aa0', '#f0a878', '#ffd9a0']), () => brush.rect(0, 0, 1_600, 800));
    fill('#fff1c4', () => brush.arc(1_180, 330, 70, 0, 7));
    const hill = (base, height, phase, style) =>
      fill(style, () => {
        brush.moveTo(0, 800);
        for (let x = 0; x <= 1_600; x += 10) brush.lineTo(x, base - height * Math.sin(x / 330 + phase));
        brush.lineTo(1_600, 800);
      });
    hill(400, 46, 0.4, '#7d8a78');
    hill(440, 30, 2.1, '#5c7257');
    fill(fade(450, 800, ['#6d5138', '#3c2a1c']), () => brush.rect(0, 470, 1_600, 330));
    for (let row = 0; row < 6; row += 1) {
      const y = 500 + row * row * 9 + row * 12;
      const size = 9 + row * 7;
      for (let x = -size + (row % 2) * size; x < 1_640; x += size * 2.1) {
        for (const [dx, dy, light] of [[-0.5, 0, 27], [0.5, 0, 31], [0, -0.6, 36]]) {
          fill(`hsl(${98 + ((x * 7) % 20)} 42% ${light}%)`, () => brush.ellipse(x + dx * size, y + dy * size, size * 0.75, size * 0.5, dx, 0, 7));
        }
        if (row > 1 && (x * 13 + row) % 3 < 1) fill('#d84a34', () => brush.arc(x, y, size * 0.22, 0, 7));
      }
    }
    return canvas.toDataURL('image/png');
  });
  return {name: 'evening.png', mimeType: 'image/png', buffer: Buffer.from(painted.split(',')[1], 'base64')};
};

await startServer();
try {
  await startBrowser(address);
  await bringIn(people.map(({id, username}) => ({type: 'user', id, username, avatar: `${AVATARS}${id}.svg`})));
  await follow(people.flatMap((one) => people.filter((other) => other !== one).map((other) => [one, other])));
  await wrote([
    [hanna, ann, 'The bees are back in the old pear tree!', 6 * DAY],
    [ann, kofi, 'Saturday at nine, before it gets hot.', 5 * DAY],
    [fatima, ann, 'I have kept you some of the purple beans.', 4 * DAY],
    [ann, juergen, 'Die Leiter steht wieder im Schuppen.', 3 * DAY],
    [ines, ann, 'Obrigada! The courgettes were wonderful.', 2 * DAY],
    [goran, ann, 'Who has the key to the tool room?', 25 * HOUR, {unread: true}],
    [ann, deniz, 'Is the watering plan for August ready?', 40 * MINUTE],
  ]);
  const tabs = [];
  for (const person of [ann, deniz]) {
    const tab = await signIn({...person, token: await tokenOf(person)}, {width: 1_280, height: 900});
    await tab.page.context().route(`${AVATARS}**`, (route) => {
      const {id, username} = people.find(({id}) => route.request().url() === `${AVATARS}${id}.svg`);
      return route.fulfill({contentType: 'image/svg+xml', body: avatar({id, username})});
    });
    await tab.page.reload();
    tabs.push(tab);
  }
  const [annTab, denizTab] = tabs;
  await open(annTab, deniz);
  await open(denizTab, ann);
  await sendFiles(denizTab, drawing('watering plan.pdf'));
  await eventually(async () => assert.equal((await thread(annTab)).length, 2));
  await sendFiles(denizTab, await evening(denizTab));
  await eventually(async () => assert.equal((await thread(annTab)).length, 3));
  await write(annTab, 'What a sky! I take Tuesdays and Fridays, teşekkürler.');
  await eventually(async () => assert.equal((await thread(denizTab)).length, 4));
  await send({...lena, token: await tokenOf(lena)}, ann, 'Did you see the first tomato?');
  await eventually(async () => assert.ok((await list(annTab))[0].dot));
  await entry(annTab, deniz).locator('.MuiListItemButton-root').click();
  await eventually(async () => assert.equal((await thread(annTab)).length, 4));
  await pictures(annTab, 2);
  await annTab.page.locator('.SCPrivateMessageThreadItem-root').last().scrollIntoViewIfNeeded();
  await annTab.page.mouse.move(1_270, 5);
  await annTab.page.evaluate(() => document.fonts.ready);
  // What a click leaves on a button fades away.
  await eventually(async () => assert.equal(await annTab.page.locator('.MuiTouchRipple-child').count(), 0));
  await annTab.page.screenshot({path: process.env.PICTURE});
} finally {
  await stopBrowser();
  await stopServer();
}
