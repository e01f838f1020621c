// Files to attach.

/** Four pixels by three, in four colours. */
export const picture = {
  name: 'beds.png',
  mimeType: 'image/png',
  buffer: Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAQAAAADCAIAAAA7ljmRAAAAHklEQVR42mPQqzX6v91XcdrnylAPBjgLKMoAZwFFAU3AEOHyRmAwAAAAAElFTkSuQmCC',
    'base64'
  ),
};

/** The beginning of a program for Windows. */
export const program = {
  name: 'game.exe',
  mimeType: 'application/x-msdownload',
  buffer: Buffer.from('MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0', 'latin1'),
};

const pdf = (name, [width, height], content) => {
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 ${width} ${height}] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>`,
    `<< /Length ${content.length} >>\nstream\n${content}\nendstream`,
    '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>',
  ];
  let file = '%PDF-1.4\n';
  const places = objects.map((object, index) => {
    const place = String(file.length).padStart(10, '0');
    file += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return `${place} 00000 n \n`;
  });
  const table = `xref\n0 ${places.length + 1}\n0000000000 65535 f \n${places.join('')}`;
  const trailer = `trailer\n<< /Size ${places.length + 1} /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`;
  return {name, mimeType: 'application/pdf', buffer: Buffer.from(file + table + trailer, 'latin1')};
};

const words = (x, y, size, line) => `BT /F1 ${size} Tf ${x} ${y} Td (${line}) Tj ET\n`;

/** An upright page with one line on it. */
export const document = (name, line) => pdf(name, [595, 842], words(60, 720, 36, line));

/** A plan of beds. The lower part of the page stays empty, because the UI's download button covers it. */
export const drawing = (name) => {
  const beds = [
    ['Tomatoes', 40, 430, 250, 200, '0.86 0.38 0.28'],
    ['Beans', 310, 430, 220, 200, '0.42 0.62 0.34'],
    ['Courgettes', 550, 430, 250, 200, '0.93 0.75 0.33'],
    ['Herbs', 40, 270, 370, 130, '0.55 0.70 0.52'],
    ['Strawberries', 430, 270, 370, 130, '0.80 0.45 0.50'],
  ];
  const drawn = beds.map(([what, x, y, width, height, colour]) =>
    `${colour} rg ${x} ${y} ${width} ${height} re f 1 1 1 rg\n${words(x + 20, y + height - 44, 30, what)}`
  );
  return pdf(name, [842, 720], `0.2 0.25 0.2 rg\n${words(40, 660, 34, 'Watering plan, August')}${drawn.join('')}`);
};

/** A text of so many bytes, no two lines of which are alike. */
export const text = (name, size) => {
  const line = (_, index) => `${index}: ${'tomatoes, beans, courgettes'.slice(index % 20)}\n`;
  const buffer = Buffer.from(Array.from({length: size / 8}, line).join('')).subarray(0, size);
  return {name, mimeType: 'text/plain', buffer};
};

/** Some seconds of changing colours, recorded by the browser, because the page takes its picture from the first second on. */
export const video = async ({page}) => {
  const recorded = await page.evaluate(async () => {
    const canvas = Object.assign(document.createElement('canvas'), {width: 320, height: 180});
    const brush = canvas.getContext('2d');
    const recorder = new MediaRecorder(canvas.captureStream(), {mimeType: 'video/webm;codecs=vp8'});
    const parts = [];
    recorder.ondataavailable = ({data}) => parts.push(data);
    const began = performance.now();
    recorder.start();
    await new Promise((done) => {
      recorder.onstop = done;
      const paint = () => {
        const seconds = (performance.now() - began) / 1_000;
        brush.fillStyle = `hsl(${seconds * 200} 60% 50%)`;
        brush.fillRect(0, 0, 320, 180);
        if (seconds < 2) requestAnimationFrame(paint);
        else recorder.stop();
      };
      paint();
    });
    return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
  });
  return {name: 'rain.webm', mimeType: 'video/webm', buffer: Buffer.from(recorded)};
};
