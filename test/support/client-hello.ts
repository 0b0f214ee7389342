/** ClientHellos byte by byte, valid and not. RFC 8446 §4.1.2. */

/** In hex. */
export type Extension = string

export interface HelloSketch {
  readonly extensions: readonly Extension[]
  /** `legacy_version`. */
  readonly version?: number
}

export function clientHelloBytes({ extensions, version = 0x0303 }: HelloSketch): Buffer {
  const random = '07'.repeat(32)
  const ciphers = withLength(2, 'c02f1301')
  const body = `${hex(version, 2)}${random}00${ciphers}0100${withLength(2, extensions.join(''))}`
  const message = `01${withLength(3, body)}`
  return Buffer.from(`160301${withLength(2, message)}`, 'hex')
}

/** RFC 6066 §3: each with its type before it. */
export function serverNames(...names: readonly (readonly [type: number, name: string])[]): string {
  const list = names.map(([type, name]) => hex(type, 1) + withLength(2, textHex(name))).join('')
  return `0000${withLength(2, withLength(2, list))}`
}

/** RFC 7301 §3.1. */
export function protocols(...names: readonly string[]): Extension {
  const list = names.map((name) => withLength(1, textHex(name))).join('')
  return `0010${withLength(2, withLength(2, list))}`
}

export function padding(octets: number): Extension {
  return `0015${withLength(2, '00'.repeat(octets))}`
}

export function withLength(octets: number, content: string): string {
  return hex(content.length / 2, octets) + content
}

function hex(value: number, octets: number): string {
  return value.toString(16).padStart(2 * octets, '0')
}

function textHex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex')
}
