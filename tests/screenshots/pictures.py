"""Small PNG files: what the browser shows, with at most 256 colours.

Source: https://www.w3.org/TR/png-3/ (PNG specification, third edition)
"""

import struct
import zlib
from base64 import b64decode, b64encode
from typing import Any

from playwright.sync_api import Page

_REDUCE = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const counts = new Map();
  const colours = new Uint32Array(width * height);
  for (let at = 0; at < colours.length; at++) {
    const colour = colours[at] = (data[4 * at] << 16) | (data[4 * at + 1] << 8) | data[4 * at + 2];
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const distance = (one, other) =>
    [16, 8, 0].reduce((sum, shift) => sum + (((one >> shift) & 255) - ((other >> shift) & 255)) ** 2, 0);
  const frequent = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one) || one - other);
  const palette = [];
  for (const colour of frequent) {
    if (palette.length < 256 && !palette.some((known) => distance(known, colour) < 100)) palette.push(colour);
  }
  const nearest = new Map(frequent.map((colour) => {
    let best = 0;
    palette.forEach((known, index) => { if (distance(known, colour) < distance(palette[best], colour)) best = index; });
    return [colour, best];
  }));
  let text = "";
  for (const colour of colours) text += String.fromCharCode(nearest.get(colour));
  return { width, height, palette, pixels: btoa(text) };
}"""


def small_png(canvas: Page, png: bytes) -> bytes:
    """Return the picture with a palette: about a third of the bytes. `canvas` is any page, in which this is done."""
    reduced: dict[str, Any] = canvas.evaluate(_REDUCE, b64encode(png).decode())
    width, height, pixels = reduced["width"], reduced["height"], b64decode(reduced["pixels"])
    palette = b"".join(colour.to_bytes(3) for colour in reduced["palette"])
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, content) for name, content in chunks)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
