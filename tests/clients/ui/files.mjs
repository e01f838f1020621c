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

/** A page with one line on it. */
export const document = (name, line) => {
  const content = `BT /F1 36 Tf 60 720 Td (${line}) Tj ET`;
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>',
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

/** A text of so many bytes, no two lines of which are alike. */
export const text = (name, size) => {
  const line = (_, index) => `${index}: ${'tomatoes, beans, courgettes'.slice(index % 20)}\n`;
  const buffer = Buffer.from(Array.from({length: size / 8}, line).join('')).subarray(0, size);
  return {name, mimeType: 'text/plain', buffer};
};
