/**
 * The body of a request of `application/grpc-web-text`: base64 in chunks of any size, decoded as it comes.
 *
 * As in Envoy, what has come is decoded in whole groups of four characters and the rest waits for more, at most three of
 * them; padding may stand only where what has come ends.
 */
import { bufferOf } from '../../lib/bytes.ts'

export type Decoded = Buffer | 'bad-data'

/** The last character of a padded group has bits that stand for nothing, and they are zero. */
const strict =
  /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/

export class TextDecoder {
  #rest = ''

  /** Whether the text breaks off inside a group. */
  get isCut(): boolean {
    return this.#rest !== ''
  }

  decode(chunk: Uint8Array): Decoded {
    const text = this.#rest + bufferOf(chunk).toString('latin1')
    const whole = text.length - (text.length % 4)
    this.#rest = text.slice(whole)
    const groups = whole === text.length ? text : text.slice(0, whole)
    return strict.test(groups) ? Buffer.from(groups, 'base64') : 'bad-data'
  }
}
