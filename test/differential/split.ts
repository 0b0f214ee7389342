/** The ways to cut bytes up that the corpus is sent in. */

export interface Split {
  readonly pieces: readonly Buffer[]
  readonly where: string
}

/** Beyond it only the first and last bytes are split: what lies between is a run of one octet. */
const wholeMax = 2_000
const edge = 120

/** In two at every byte, and into single bytes. */
export function* everySplit(bytes: Buffer): Generator<Split> {
  for (let at = 1; at < bytes.length; at += 1) {
    if (bytes.length > wholeMax && at > edge && at < bytes.length - edge) continue
    yield { pieces: [bytes.subarray(0, at), bytes.subarray(at)], where: `split at ${at}` }
  }
  if (bytes.length <= wholeMax) {
    yield { pieces: Array.from(bytes, (octet) => Buffer.of(octet)), where: 'byte by byte' }
  }
}
