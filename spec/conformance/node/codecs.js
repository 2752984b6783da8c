'use strict';
// kafkajs brings gzip; the other codecs are handed to it, each in pure JavaScript or WebAssembly.
const { CompressionCodecs, CompressionTypes } = require('kafkajs');
const snappy = require('kafkajs-snappy');
const lz4 = require('lz4js');
const xxh = require('xxhashjs');
const { ZstdCodec } = require('zstd-codec');

CompressionCodecs[CompressionTypes.Snappy] = snappy;

// Kafka wants frames whose descriptor says that blocks do not depend on each other. lz4js does not say it, but makes blocks of
// 4 MiB, and a batch here has one.
function independent(frame) {
  frame[4] |= 0x20;
  frame[6] = (xxh.h32(frame.subarray(4, 6), 0).toNumber() >>> 8) & 0xff;
  return frame;
}
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async (encoder) => independent(Buffer.from(lz4.compress(encoder.buffer))),
  decompress: async (buffer) => Buffer.from(lz4.decompress(buffer)),
});

const zstd = new Promise((resolve) => ZstdCodec.run((codec) => resolve(new codec.Streaming())));
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async (encoder) => Buffer.from((await zstd).compress(new Uint8Array(encoder.buffer))),
  decompress: async (buffer) => Buffer.from((await zstd).decompress(new Uint8Array(buffer))),
});

module.exports = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
  lz4: CompressionTypes.LZ4,
  zstd: CompressionTypes.ZSTD,
};
